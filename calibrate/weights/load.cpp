#include "calibrate/weights/load.hpp"

#include <cstring>
#include <set>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

using Shape2 = std::vector<std::int64_t>;

std::string text(const Shape2& shape) {
  std::string out;
  for (const std::int64_t n : shape) out += (out.empty() ? "" : ", ") + std::to_string(n);
  return "[" + out + "]";
}

template <class Stored, class T>
void append(std::span<const std::byte> bytes, std::vector<T>& out) {
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(Stored)) {
    Stored x;
    std::memcpy(&x, bytes.data() + i, sizeof x);   // tensors need not be aligned
    out.push_back(to<T>(static_cast<Accum<T>>(from(x))));
  }
}

/// Takes tensors by name, notes what is wrong with them, and knows at the end which ones nobody asked for.
template <class T>
class Taker {
 public:
  explicit Taker(const SafetensorsFile& file) : file_(&file) {}

  void take(const std::string& name, const Shape2& shape, std::vector<T>& out) {
    asked_.insert(name);
    const auto found = file_->tensors().find(name);
    if (found == file_->tensors().end()) return wrong(name, "missing");
    const Tensor& t = found->second;
    if (t.type == TensorType::kOther) return wrong(name, "dtype " + t.dtype + "; F32, F16 and BF16 can be read");
    if (t.shape != shape) return wrong(name, "shape " + text(t.shape) + ", expected " + text(shape));
    if (t.type == TensorType::kF32) append<float>(t.bytes, out);
    else if (t.type == TensorType::kF16) append<Half>(t.bytes, out);
    else append<Bf16>(t.bytes, out);
  }

  void finish() {
    for (const auto& [name, tensor] : file_->tensors()) {
      const bool buffer = name.ends_with("rotary_emb.inv_freq");   // computed, not learnt
      if (!buffer && !asked_.contains(name)) wrong(name, "not part of this model");
    }
    if (errors_.empty()) return;
    constexpr std::size_t kShown = 20;
    std::string all;
    for (std::size_t i = 0; i < std::min(kShown, errors_.size()); ++i) all += (i ? "\n" : "") + errors_[i];
    if (errors_.size() > kShown)
      all += "\n" + file_->name() + ": and " + std::to_string(errors_.size() - kShown) + " more";
    throw ConfigError(all);
  }

 private:
  void wrong(const std::string& name, const std::string& what) {
    errors_.push_back(file_->name() + ": tensor \"" + name + "\": " + what);
  }

  const SafetensorsFile* file_;
  std::set<std::string, std::less<>> asked_;
  std::vector<std::string> errors_;
};

template <class T>
void take_layer(Taker<T>& taker, const DecoderShape& s, const std::string& layer, LayerWeights<T>& w) {
  const std::int64_t width = std::int64_t{s.heads} * s.head_dim, kv = std::int64_t{s.kv_heads} * s.head_dim;
  taker.take(layer + "input_layernorm.weight", {s.hidden}, w.attention_norm);
  taker.take(layer + "self_attn.q_proj.weight", {width, s.hidden}, w.qkv);
  taker.take(layer + "self_attn.k_proj.weight", {kv, s.hidden}, w.qkv);
  taker.take(layer + "self_attn.v_proj.weight", {kv, s.hidden}, w.qkv);
  taker.take(layer + "self_attn.o_proj.weight", {s.hidden, width}, w.out);
  taker.take(layer + "post_attention_layernorm.weight", {s.hidden}, w.ffn_norm);
  if (s.experts == 0) {
    taker.take(layer + "mlp.gate_proj.weight", {s.ffn, s.hidden}, w.gate_up);
    taker.take(layer + "mlp.up_proj.weight", {s.ffn, s.hidden}, w.gate_up);
    taker.take(layer + "mlp.down_proj.weight", {s.hidden, s.ffn}, w.down);
    return;
  }
  const std::string moe = layer + "block_sparse_moe.";
  taker.take(moe + "gate.weight", {s.experts, s.hidden}, w.router);
  for (std::int32_t e = 0; e < s.experts; ++e) {
    const std::string expert = moe + "experts." + std::to_string(e) + ".";
    taker.take(expert + "w1.weight", {s.ffn, s.hidden}, w.gate_up);
    taker.take(expert + "w3.weight", {s.ffn, s.hidden}, w.gate_up);
    taker.take(expert + "w2.weight", {s.hidden, s.ffn}, w.down);
  }
}

}  // namespace

template <class T>
Weights<T> load_weights(const SafetensorsFile& file, const DecoderShape& s) {
  Weights<T> w;
  Taker<T> taker(file);
  taker.take("model.embed_tokens.weight", {s.vocab, s.hidden}, w.embedding);
  for (std::int32_t l = 0; l < s.layers; ++l) {
    take_layer(taker, s, "model.layers." + std::to_string(l) + ".", w.layers.emplace_back());
  }
  taker.take("model.norm.weight", {s.hidden}, w.final_norm);
  taker.take("lm_head.weight", {s.vocab, s.hidden}, w.head);
  taker.finish();
  return w;
}

template Weights<float> load_weights(const SafetensorsFile&, const DecoderShape&);
template Weights<Bf16> load_weights(const SafetensorsFile&, const DecoderShape&);

}  // namespace orrery
