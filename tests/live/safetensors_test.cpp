/// Weights from files: a round trip gives the same numbers and the same engine; malformed files are refused with the
/// reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "calibrate/live/cpu_device.hpp"
#include "calibrate/weights/load.hpp"
#include "sim/config/value.hpp"

namespace orrery {
namespace {

/// Header and data as the format has them.
std::string file_of(const std::string& header, const std::string& data) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 255u);
  return out + header + data;
}

std::span<const std::byte> bytes_of(const std::string& s) {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}

std::string refusal(const std::string& bytes) {
  try {
    const SafetensorsFile file("x.safetensors", bytes_of(bytes));
    return "read";
  } catch (const ConfigError& e) { return e.what(); }
}

/// Writes tensors in the order in which they come, each in one of the three formats.
class Writer {
 public:
  template <class T>
  void add(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const T> values,
           const std::string& dtype) {
    const std::size_t begin = data_.size();
    for (const T v : values) {
      const float x = static_cast<float>(from(v));
      if (dtype == "F32") put(x);
      else if (dtype == "BF16") put(to<Bf16>(x));
      else put(half_toward_zero(x));
    }
    Value& t = header_[name];
    t["dtype"] = dtype;
    for (const std::int64_t n : shape) t["shape"].push_back(n);
    t["data_offsets"].push_back(static_cast<std::int64_t>(begin));
    t["data_offsets"].push_back(static_cast<std::int64_t>(data_.size()));
  }
  Value& header() { return header_; }
  std::string file() const { return file_of(to_json(header_, -1), data_); }

 private:
  template <class S>
  void put(S x) {
    data_.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  Value header_ = Value::object();
  std::string data_;
};

template <class T>
Writer written(const Weights<T>& w, const DecoderShape& s, const std::string& dtype) {
  Writer out;
  const std::int64_t width = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim, hidden = s.hidden, ffn = s.ffn;
  const auto part = [&](const std::string& name, std::int64_t rows, std::int64_t columns, const std::vector<T>& all,
                        std::int64_t first = 0) {
    const std::span<const T> span(all);
    out.add(name, columns ? std::vector{rows, columns} : std::vector{rows},
            span.subspan(static_cast<std::size_t>(first * std::max<std::int64_t>(1, columns)),
                         static_cast<std::size_t>(rows * std::max<std::int64_t>(1, columns))), dtype);
  };
  part("lm_head.weight", s.vocab, hidden, w.head);   // any order will do
  part("model.embed_tokens.weight", s.vocab, hidden, w.embedding);
  for (std::size_t l = 0; l < w.layers.size(); ++l) {
    const LayerWeights<T>& x = w.layers[l];
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    part(layer + "input_layernorm.weight", hidden, 0, x.attention_norm);
    part(layer + "self_attn.q_proj.weight", width, hidden, x.qkv);
    part(layer + "self_attn.k_proj.weight", kv, hidden, x.qkv, width);
    part(layer + "self_attn.v_proj.weight", kv, hidden, x.qkv, width + kv);
    part(layer + "self_attn.o_proj.weight", hidden, width, x.out);
    part(layer + "post_attention_layernorm.weight", hidden, 0, x.ffn_norm);
    if (s.experts > 0) part(layer + "block_sparse_moe.gate.weight", s.experts, hidden, x.router);
    for (std::int64_t e = 0; e < s.copies(); ++e) {
      const bool moe = s.experts > 0;
      const std::string expert = layer + (moe ? "block_sparse_moe.experts." + std::to_string(e) + "." : "mlp.");
      part(expert + (moe ? "w1" : "gate_proj") + ".weight", ffn, hidden, x.gate_up, 2 * e * ffn);
      part(expert + (moe ? "w3" : "up_proj") + ".weight", ffn, hidden, x.gate_up, (2 * e + 1) * ffn);
      part(expert + (moe ? "w2" : "down_proj") + ".weight", hidden, ffn, x.down, e * hidden);
    }
  }
  part("model.norm.weight", hidden, 0, w.final_norm);
  return out;
}

constexpr DecoderShape kDense{
    .layers = 2, .hidden = 32, .heads = 4, .kv_heads = 2, .head_dim = 8, .ffn = 24, .vocab = 40};
constexpr DecoderShape kMixture{.layers = 1,
                                .hidden = 32,
                                .heads = 4,
                                .kv_heads = 2,
                                .head_dim = 8,
                                .ffn = 24,
                                .vocab = 40,
                                .experts = 3,
                                .top_k = 2};

template <class T>
std::vector<T> all_of(const Weights<T>& w) {
  std::vector<T> all = w.embedding;
  const auto add = [&](const std::vector<T>& x) { all.insert(all.end(), x.begin(), x.end()); };
  for (const LayerWeights<T>& l : w.layers)
    for (const auto* x : {&l.attention_norm, &l.qkv, &l.out, &l.ffn_norm, &l.router, &l.gate_up, &l.down}) add(*x);
  add(w.final_norm);
  add(w.head);
  return all;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

TEST(Safetensors, ARoundTripGivesTheSameWeights) {
  for (const DecoderShape& shape : {kDense, kMixture}) {
    const Weights<float> made(shape, 3);
    const Weights<Bf16> coarse(shape, 3);
    const std::string wide = written(made, shape, "F32").file(), narrow = written(coarse, shape, "BF16").file();
    EXPECT_TRUE(same_bits(all_of(load_weights<float>({"w", bytes_of(wide)}, shape)), all_of(made)));
    EXPECT_TRUE(same_bits(all_of(load_weights<Bf16>({"w", bytes_of(wide)}, shape)), all_of(coarse)));
    EXPECT_TRUE(same_bits(all_of(load_weights<Bf16>({"w", bytes_of(narrow)}, shape)), all_of(coarse)));
    const std::string half = written(made, shape, "F16").file();
    const auto read = all_of(load_weights<float>({"w", bytes_of(half)}, shape)), before = all_of(made);
    for (std::size_t i = 0; i < read.size(); ++i) ASSERT_NEAR(read[i], before[i], 1e-3 * std::abs(before[i]) + 1e-7);
  }
}

TEST(Safetensors, TheEngineRunsOnAFileAsOnItsSeed) {
  const std::string path = (std::filesystem::temp_directory_path() / "orrery-weights.safetensors").string();
  LiveModel model;
  model.name = "small";
  model.shape = kDense;
  {
    std::ofstream out(path, std::ios::binary);
    out << written(Weights<float>(kDense, 9), kDense, "F32").file();
  }
  const std::vector<std::int32_t> tokens{3, 1, 4, 1, 5, 9, 2, 6}, blocks{0};
  std::vector<std::int32_t> next;
  LiveDeviceOptions from_seed, from_file;
  from_seed.seed = 9;
  from_file.weights = path;
  for (const LiveDeviceOptions& options : {from_seed, from_file}) {
    const auto device = make_cpu_device(model, options);
    const auto replica = device->replica({.blocks = 1, .block_tokens = 16});
    for (std::size_t n = 1; n <= tokens.size(); ++n) {
      const Work work{.context = 0, .tokens = std::span(tokens).first(n), .blocks = blocks};
      next.push_back(replica->run({&work, 1}).front());
    }
  }
  EXPECT_TRUE(std::equal(next.begin(), next.begin() + 8, next.begin() + 8));
  EXPECT_GT(std::count_if(next.begin(), next.end(), [&](std::int32_t t) { return t != next.front(); }), 0);
  std::filesystem::remove(path);
}

/// Tensor a: two F32; b: one F32.
constexpr const char* kA = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

TEST(Safetensors, MalformedFilesAreRefusedWithTheReason) {
  const std::string data = "0123456789ab";
  const auto with = [&](const std::string& b) { return refusal(file_of("{" + std::string(kA) + "," + b + "}", data)); };
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]})"), "read");
  EXPECT_EQ(refusal("abc"), "x.safetensors: 3 bytes; a safetensors file has at least 8");
  EXPECT_EQ(refusal(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8)),
            "x.safetensors: a header of 9223372036854775807 bytes; at most 100000000 are allowed");
  EXPECT_EQ(refusal(file_of("{}", "").substr(0, 9)),
            "x.safetensors: truncated: a header of 2 bytes, and 1 bytes in all behind its length");
  EXPECT_EQ(refusal(file_of("", "")), "x.safetensors: the header is not a JSON object");
  EXPECT_EQ(refusal(file_of("[]", "")), "x.safetensors: the header is not a JSON object");
  EXPECT_EQ(refusal(file_of("{\"a\":", "")).rfind("x.safetensors: the header is not JSON: x.safetensors:1", 0), 0u);
  EXPECT_EQ(with("\"b\":3"), "x.safetensors: tensor \"b\": expected {\"dtype\", \"shape\", \"data_offsets\"}");
  EXPECT_EQ(with(R"("b":{"shape":[1],"data_offsets":[8,12]})"), "x.safetensors: tensor \"b\": no dtype");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","data_offsets":[8,12]})"), "x.safetensors: tensor \"b\": no shape");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8]})"),
            "x.safetensors: tensor \"b\": no data_offsets [begin, end]");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12],"x":1})"),
            "x.safetensors: tensor \"b\": unknown key \"x\"");
  EXPECT_EQ(with(R"("b":{"dtype":"F31","shape":[1],"data_offsets":[8,12]})"),
            "x.safetensors: tensor \"b\": unknown dtype \"F31\"");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[-1],"data_offsets":[8,12]})"),
            "x.safetensors: tensor \"b\": a shape holds whole numbers from 0");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[1],"data_offsets":[12,8]})"),
            "x.safetensors: tensor \"b\": data_offsets are not [begin, end] with 0 <= begin <= end");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]})"),
            "x.safetensors: tensor \"b\": data_offsets end at byte 16 of 12");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,12]})"),
            "x.safetensors: tensor \"b\": a shape of 8 bytes, data_offsets of 4");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[8,12]})"),
            "x.safetensors: tensor \"b\": a shape of more bytes than there can be, data_offsets of 4");
  EXPECT_EQ(with(R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]})"),
            "x.safetensors: tensor \"b\" overlaps tensor \"a\"");
  EXPECT_EQ(with(R"("b":{"dtype":"F16","shape":[1],"data_offsets":[10,12]})"),
            "x.safetensors: bytes 8 to 10 belong to no tensor");
  EXPECT_EQ(with(R"("b":{"dtype":"F16","shape":[1],"data_offsets":[8,10]})"),
            "x.safetensors: bytes 10 to 12 belong to no tensor");
  EXPECT_EQ(with(kA).rfind("x.safetensors: the header is not JSON: x.safetensors:1", 0), 0u);   // a key given twice
}

TEST(Safetensors, FilesThatAreNone) {
  const auto error = [](const std::string& path) {
    try {
      const SafetensorsFile file(path);
      return std::string("read");
    } catch (const ConfigError& e) { return std::string(e.what()); }
  };
  const std::string folder = std::filesystem::temp_directory_path().string(),
                    empty = folder + "/orrery-empty.safetensors";
  std::ofstream(empty).close();
  EXPECT_EQ(error("/nowhere.safetensors"), "/nowhere.safetensors: No such file or directory");
  EXPECT_EQ(error(folder), folder + ": not a file");
  EXPECT_EQ(error(empty), empty + ": the file is empty");
  std::filesystem::remove(empty);
}

TEST(Safetensors, WeightsOfAnotherModelAreRefusedTensorByTensor) {
  const auto error = [](const std::string& bytes, const DecoderShape& shape) {
    try {
      load_weights<float>({"w", bytes_of(bytes)}, shape);
      return std::string("read");
    } catch (const ConfigError& e) { return std::string(e.what()); }
  };
  Writer w = written(Weights<float>(kDense, 1), kDense, "F32");
  w.add("model.layers.0.self_attn.rotary_emb.inv_freq", {1},
        std::span<const float>(Weights<float>(kDense, 1).head).first(1), "F32");
  EXPECT_EQ(error(w.file(), kDense), "read");
  DecoderShape other = kDense;
  other.layers = 1;
  other.ffn = 25;
  other.vocab = 41;
  const std::string wrong = error(w.file(), other);
  EXPECT_EQ(wrong.substr(0, wrong.find('\n')),
            "w: tensor \"model.embed_tokens.weight\": shape [40, 32], expected [41, 32]");
  EXPECT_NE(wrong.find("\nw: tensor \"model.layers.0.mlp.gate_proj.weight\": shape [24, 32], expected [25, 32]\n"),
            wrong.npos);
  EXPECT_NE(wrong.find("\nw: tensor \"model.layers.1.input_layernorm.weight\": not part of this model"), wrong.npos);
  other = kDense;
  other.layers = 3;
  EXPECT_EQ(error(w.file(), other).substr(0, 68),
            "w: tensor \"model.layers.2.input_layernorm.weight\": missing\nw: tensor");
  w.header()["lm_head.weight"]["dtype"] = "I32";
  EXPECT_EQ(error(w.file(), kDense), "w: tensor \"lm_head.weight\": dtype I32; F32, F16 and BF16 can be read");
}

}  // namespace
}  // namespace orrery
