#include "hwmodels/operator_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "hwmodels/knots.hpp"
#include "sim/base/math.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Of the roof, as it was fitted.
double gemm_bytes_per_s(const OperatorModel& gemm) {
  const auto names = coefficients(gemm.op);
  const auto at =
      std::find_if(names.begin(), names.end(), [](const Coefficient& c) { return c.name == "bytes_per_s"; });
  return gemm.theta[static_cast<std::size_t>(at - names.begin())];
}

using TokenKnots = Knots<4>;
using ContextKnots = Knots<3>;
using QueryKnots = Knots<3>;
using PrefixKnots = Knots<2>;

constexpr std::int64_t kMaxTokens = std::int64_t{1} << 22;        // of a step; beyond, the last slope goes on
constexpr std::int64_t kMaxContext = std::int64_t{1} << 24;  // of one call, for tables; beyond, the last slope goes on
constexpr std::int64_t kMaxQuery = std::int64_t{1} << 18;
constexpr std::int64_t kMaxPrefix = std::int64_t{1} << 21;
constexpr std::size_t kChunkLevels = 9;                           // tables for 1, 2, 4 ... 256 chunks

std::int64_t picoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e12 + 0.5); }

/// Nearest integer; 0 for what an extrapolation makes negative.
std::int64_t rounded(double x) { return static_cast<std::int64_t>(std::max(x, 0.0) + 0.5); }

/// Nearest integer to a / b; b > 0.
std::int64_t slope_of(std::int64_t a, std::int64_t b) { return a >= 0 ? (a + b / 2) / b : -((-a + b / 2) / b); }

/// Whole picoseconds over whole numbers, affine between knots; those of usual steps are read off.
class Curve {
 public:
  template <class F>
  explicit Curve(const F& seconds) {
    for (std::size_t i = 0; i < kPieces; ++i)
      pieces_[i] = {picoseconds(seconds(static_cast<double>(TokenKnots::value(i)))), 0};
    for (std::size_t i = 0; i + 1 < kPieces; ++i)
      pieces_[i].slope = slope_of(pieces_[i + 1].base - pieces_[i].base,
                                  TokenKnots::value(i + 1) - TokenKnots::value(i));
    pieces_.back().slope = pieces_[kPieces - 2].slope;
    for (std::size_t x = 0; x < kUsual; ++x) usual_[x] = between(static_cast<std::int64_t>(x));
  }
  std::int64_t at(std::int64_t x) const {
    return x < static_cast<std::int64_t>(kUsual) ? usual_[static_cast<std::size_t>(x)] : between(x);
  }

 private:
  struct Piece {
    std::int64_t base, slope;
  };
  std::int64_t between(std::int64_t x) const {
    const TokenKnots::Spot spot = TokenKnots::spot(x);
    if (spot.index < kPieces) return pieces_[spot.index].base + pieces_[spot.index].slope * spot.past;
    return pieces_.back().base + pieces_.back().slope * (x - TokenKnots::value(kPieces - 1));
  }
  static constexpr std::size_t kPieces = TokenKnots::index(kMaxTokens) + 1, kUsual = 4096;
  std::array<Piece, kPieces> pieces_;
  std::array<std::int64_t, kUsual> usual_;
};

}  // namespace

/// One batch size: the whole decode step, and its attention alone, by total context.
struct OperatorCostModel::Row {
  struct Knot {
    std::int64_t context;                                 ///< first total context of the piece
    std::int64_t time, time_slope, energy, energy_slope;  ///< ps, ps/token, nJ, nJ/token
    std::int64_t attention, attention_slope;              ///< ps, ps/token
    std::int64_t end;                                     ///< first context of the next piece; with bit 63 free
    bool in_range;
  };
  std::size_t first = 0, last = 0;   ///< indices of the first and the last knot
  std::vector<Knot> knots;
  std::int64_t host = 0;       ///< ps
  std::int64_t flops = 0, bytes = 0;  ///< without attention over the context

  const Knot& knot(std::int64_t context) const {
    const std::size_t i = ContextKnots::index(context);
    return knots[std::min(std::max(i, first), last) - first];
  }
};

/// Attention of 2^level equal chunks, by new tokens and context of each; picoseconds over all layers of the stage.
struct OperatorCostModel::ChunkTable {
  static constexpr std::size_t kRows = QueryKnots::index(kMaxQuery) + 1, kColumns = PrefixKnots::index(kMaxPrefix) + 1;

  /// A cell of the grid and the place in it; the same for all levels. Beyond the last knot the last slope goes on.
  struct Place {
    std::size_t index;
    double u, v;
    Place(std::int64_t q, std::int64_t context) {
      const QueryKnots::Along row = QueryKnots::along(q, kRows - 2);
      const PrefixKnots::Along column = PrefixKnots::along(context, kColumns - 2);
      index = row.index * kColumns + column.index;
      u = row.steps;
      v = column.steps;
    }
  };

  std::vector<double> picoseconds = std::vector<double>(kRows * kColumns);
  std::vector<char> in_range = std::vector<char>(kRows * kColumns);

  bool in_range_at(const Place& place) const { return in_range[place.index] != 0; }
  double at(const Place& place) const {
    const double* p = &picoseconds[place.index];
    const double low = p[0] + place.v * (p[1] - p[0]), high = p[kColumns] + place.v * (p[kColumns + 1] - p[kColumns]);
    return low + place.u * (high - low);
  }
};

struct OperatorCostModel::Stage {
  std::int64_t layers;
  bool first, last;
  std::unique_ptr<Curve> tokens, head;
  std::unique_ptr<Curve> token_links, head_links;   ///< the collectives in them; null: there is one device
  std::int64_t host = 0, host_per_sequence = 0, launch = 0;                 ///< ps
  std::int64_t flops_per_token = 0, flops_per_output = 0, flops_per_pair = 0;  ///< all devices of the stage
  std::int64_t bytes = 0, bytes_per_token = 0, bytes_per_context = 0;       ///< bytes: weights that every step reads
  double expert_bytes = 0;                                                  ///< of one expert in all layers
  // Filled on use; a model belongs to one thread.
  mutable std::vector<std::unique_ptr<Row>> rows;
  mutable std::array<std::unique_ptr<ChunkTable>, kChunkLevels> chunk_tables;
};

void check_split(const ModelShape& m, Parallel p) {
  const auto refuse = [&](const std::string& why) { throw ConfigError("model \"" + m.name + "\": " + why); };
  if (p.tp < 1 || p.pp < 1) refuse("tp and pp must be at least 1");
  if (m.heads % p.tp != 0)
    refuse("tp " + std::to_string(p.tp) + " does not divide its " + std::to_string(m.heads) + " heads");
  if (m.kv_heads % p.tp != 0 && p.tp % m.kv_heads != 0) {
    refuse("tp " + std::to_string(p.tp) + " and its " + std::to_string(m.kv_heads) +
           " KV heads do not divide each other");
  }
  if (p.pp > m.layers) refuse("pp " + std::to_string(p.pp) + " exceeds its " + std::to_string(m.layers) + " layers");
}

void check_experts(const ModelShape& m, const Hardware& h, Parallel p) {
  if (m.experts == 0) return;
  const std::string who = "model \"" + m.name + "\": mixture of experts: not available in this version";
  if (!h.experts) {
    throw ConfigError(who + " on hardware \"" + h.name +
                      "\", which has no products of experts (orrery calibrate --model measures them)");
  }
  if (p.tp > 1) throw ConfigError(who + " with tp above 1");
}

std::int64_t layers_of_stage(const ModelShape& m, Parallel p, int stage) {
  return m.layers / p.pp + (stage < m.layers % p.pp ? 1 : 0);
}

std::int64_t elementwise_values(const ModelShape& m, std::int64_t heads, std::int64_t kv_heads, std::int64_t tp) {
  const std::int64_t activation = (m.gated ? 3 : 2) * m.ffn / tp * std::max<std::int64_t>(1, m.top_k);
  const std::int64_t combined = m.experts > 0 ? (m.top_k + 1) * m.hidden : 0;
  return 8 * m.hidden + 2 * (heads + kv_heads) * m.head_dim + 4 * kv_heads * m.head_dim + activation + combined;
}

OperatorCostModel::OperatorCostModel(ModelShape model, Hardware hardware, Parallel parallel, HostTerms host,
                                     const Variants& variants, std::int64_t block_tokens)
    : OperatorCostModel(std::move(model), std::make_shared<const Hardware>(std::move(hardware)), parallel,
                        std::move(host), variants, block_tokens, [] {
                          std::array<double, kTerms> ones;
                          ones.fill(1);
                          return ones;
                        }()) {}

OperatorCostModel::OperatorCostModel(ModelShape model, std::shared_ptr<const Hardware> hardware, Parallel parallel,
                                     HostTerms host, const Variants& variants, std::int64_t block_tokens,
                                     std::array<double, kTerms> factor)
    : model_(std::move(model)),
      hardware_(std::move(hardware)),
      parallel_(parallel),
      host_(std::move(host)),
      variants_(variants),
      variant_(variants, *hardware_),
      block_tokens_(block_tokens),
      factor_(factor) {
  check_split(model_, parallel_);
  check_experts(model_, *hardware_, parallel_);
  value_bytes_ = hardware_->specs.value_bytes;
  const PowerModel& power = hardware_->power;
  active_w_ = power.active_w * parallel_.tp;
  limit_w_ = power.limit_w * parallel_.tp;
  joules_per_flop_ = power.joules_per_flop;
  joules_per_byte_ = power.joules_per_byte;
  // The GEMM law counts two bytes a value, whatever they are.
  elementwise_bytes_per_s_ = host_.elementwise_bytes_per_s > 0 ? host_.elementwise_bytes_per_s
                                                               : gemm_bytes_per_s(hardware_->gemm) * value_bytes_ / 2;
  heads_ = model_.heads / parallel_.tp;
  kv_heads_ = std::max<std::int64_t>(1, model_.kv_heads / parallel_.tp);
  const auto known = [&](std::int64_t n, std::int64_t k) {
    return hardware_->gemm.in_range({1, static_cast<double>(n), static_cast<double>(k)});
  };
  const std::int64_t tp = parallel_.tp, head_width = heads_ * model_.head_dim;
  const std::int64_t up = (model_.gated ? 2 : 1) * model_.ffn / tp;
  const auto experts_known = [&](std::int64_t n, std::int64_t k) {
    return hardware_->experts->in_range({1, static_cast<double>(n), static_cast<double>(k),
                                         static_cast<double>(model_.experts), static_cast<double>(model_.top_k)});
  };
  const bool ffn_known = model_.experts > 0
                             ? known(model_.experts, model_.hidden) && experts_known(up, model_.hidden) &&
                                   experts_known(model_.hidden, model_.ffn)
                             : known(up, model_.hidden) && known(model_.hidden, model_.ffn / tp);
  static_range_ = known(head_width + 2 * kv_heads_ * model_.head_dim, model_.hidden) &&
                  known(model_.hidden, head_width) && ffn_known &&
                  known(ceil_div(model_.vocabulary, tp), model_.hidden) && hardware_->all_reduce_fitted(parallel_.tp);
  for (int s = 0; s < parallel_.pp; ++s) {
    auto stage = std::make_unique<Stage>();
    stage->layers = layers_of_stage(model_, parallel_, s);
    stage->first = s == 0;
    stage->last = s == parallel_.pp - 1;
    bake_stage(*stage);
    stages_.push_back(std::move(stage));
  }
}

OperatorCostModel::~OperatorCostModel() = default;

double OperatorCostModel::map_seconds_per_token() const {
  return variant_.map_seconds_per_token(block_tokens_, 2 * model_.layers);
}

double OperatorCostModel::gemm_seconds(Term term, double m, std::int64_t n, std::int64_t k) const {
  return factor_[term] * variant_.gemm_seconds(m, static_cast<double>(n), static_cast<double>(k));
}

/// Router, and the two products of the experts.
double OperatorCostModel::experts_seconds(double tokens) const {
  const auto product = [&](Term term, std::int64_t n, std::int64_t k) {
    return factor_[term] * hardware_->experts->seconds({tokens, static_cast<double>(n), static_cast<double>(k),
                                                        static_cast<double>(model_.experts),
                                                        static_cast<double>(model_.top_k)});
  };
  return gemm_seconds(kUp, tokens, model_.experts, model_.hidden) +
         product(kUp, (model_.gated ? 2 : 1) * model_.ffn, model_.hidden) + product(kDown, model_.hidden, model_.ffn);
}

/// One layer without attention.
double OperatorCostModel::layer_seconds(double tokens) const {
  if (tokens <= 0) return 0;
  const std::int64_t tp = parallel_.tp, hd = model_.head_dim, hidden = model_.hidden;
  const double gemms = gemm_seconds(kQkv, tokens, (heads_ + 2 * kv_heads_) * hd, hidden) +
                       gemm_seconds(kOut, tokens, hidden, heads_ * hd) +
                       (model_.experts > 0
                            ? experts_seconds(tokens)
                            : gemm_seconds(kUp, tokens, (model_.gated ? 2 : 1) * model_.ffn / tp, hidden) +
                                  gemm_seconds(kDown, tokens, hidden, model_.ffn / tp));
  const std::int64_t moved = elementwise_values(model_, heads_, kv_heads_, tp);
  const double quantise = variant_.append_bytes(static_cast<double>(2 * kv_heads_ * hd));
  const double bytes = tokens * (value_bytes_ * static_cast<double>(moved) + quantise);
  const int launches = host_.elementwise_kernels + (model_.experts > 0 ? kRoutingKernels : 0) + (quantise > 0 ? 1 : 0);
  const double elementwise = launches * host_.elementwise_s + bytes / elementwise_bytes_per_s_;
  return gemms + elementwise + layer_links_seconds(tokens);
}

/// The two all-reduces of a layer.
double OperatorCostModel::layer_links_seconds(double tokens) const {
  if (tokens <= 0) return 0;
  const double bytes = tokens * value_bytes_ * static_cast<double>(model_.hidden);
  return 2 * (factor_[kLinks] * hardware_->all_reduce_seconds(parallel_.tp, bytes));
}

/// Final norm, head, and the gathering of logits.
double OperatorCostModel::head_seconds(double rows) const {
  if (rows <= 0) return 0;
  return host_.elementwise_s + gemm_seconds(kHead, rows, ceil_div(model_.vocabulary, parallel_.tp), model_.hidden) +
         head_links_seconds(rows);
}

/// Logits are gathered: half the traffic of an all-reduce.
double OperatorCostModel::head_links_seconds(double rows) const {
  if (rows <= 0) return 0;
  const double logits = rows * value_bytes_ * static_cast<double>(model_.vocabulary);
  return 0.5 * factor_[kLinks] * hardware_->all_reduce_seconds(parallel_.tp, logits);
}

void OperatorCostModel::bake_stage(Stage& s) const {
  const auto layers = static_cast<double>(s.layers);
  const double embedding_bytes = 2 * value_bytes_ * static_cast<double>(model_.hidden), map = map_seconds_per_token();
  s.tokens = std::make_unique<Curve>([&](double tokens) {
    const double embedding =
        s.first && tokens > 0 ? host_.elementwise_s + tokens * embedding_bytes / elementwise_bytes_per_s_ : 0;
    return hardware_->step_correction * (layers * layer_seconds(tokens) + embedding) +
           tokens * map * layers / static_cast<double>(model_.layers);
  });
  s.head = std::make_unique<Curve>(
      [&](double rows) { return s.last ? hardware_->step_correction * head_seconds(rows) : 0.0; });
  if (parallel_.tp > 1) {
    s.token_links = std::make_unique<Curve>(
        [&](double tokens) { return hardware_->step_correction * layers * layer_links_seconds(tokens); });
    s.head_links = std::make_unique<Curve>(
        [&](double rows) { return s.last ? hardware_->step_correction * head_links_seconds(rows) : 0.0; });
  }
  s.host = s.first ? picoseconds(host_.step_s) : 0;
  s.host_per_sequence = s.first ? picoseconds(host_.per_sequence_s) : 0;
  s.launch = picoseconds(host_.launch_per_layer_s * layers);
  const std::int64_t head = s.last ? model_.vocabulary * model_.hidden : 0;
  s.flops_per_token = 2 * s.layers * model_.active_layer_parameters();
  s.flops_per_output = 2 * head;
  s.flops_per_pair = 4 * s.layers * model_.heads * model_.head_dim;
  const auto bytes = [](double values, double each) { return static_cast<std::int64_t>(values * each + 0.5); };
  const std::int64_t always = model_.layer_parameters() - model_.experts * model_.expert_parameters();
  s.bytes = bytes(static_cast<double>(s.layers * always + head), value_bytes_);
  s.expert_bytes = static_cast<double>(s.layers * model_.expert_parameters()) * value_bytes_;
  s.bytes_per_context = bytes(static_cast<double>(2 * s.layers * kv_heads_ * parallel_.tp * model_.head_dim),
                              variants_.format.bytes_per_value(value_bytes_));
  s.bytes_per_token =
      s.bytes_per_context +
      bytes(static_cast<double>(s.layers * (8 * model_.hidden * parallel_.tp +
                                            3 * model_.ffn * std::max<std::int64_t>(1, model_.top_k))), value_bytes_);
}

/// Weights that a step reads: of the experts those that its tokens touch.
inline std::int64_t OperatorCostModel::weight_bytes(const Stage& s, std::int64_t tokens) const {
  if (s.expert_bytes == 0) return s.bytes;
  const double touched = touched_experts(static_cast<double>(tokens), static_cast<double>(model_.experts),
                                         static_cast<double>(model_.top_k));
  return s.bytes + static_cast<std::int64_t>(touched * s.expert_bytes + 0.5);
}

inline double OperatorCostModel::nanojoules(double seconds, double flops, double bytes) const {
  const double joules = active_w_ * seconds + joules_per_flop_ * flops + joules_per_byte_ * bytes;
  return 1e9 * std::min(joules, limit_w_ * seconds);
}

std::unique_ptr<OperatorCostModel::Row> OperatorCostModel::bake_row(const Stage& s, std::int64_t n) const {
  auto row = std::make_unique<Row>();
  row->first = ContextKnots::index(n);
  row->host = s.host + n * s.host_per_sequence;
  row->flops = n * s.flops_per_token + n * s.flops_per_output;
  row->bytes = weight_bytes(s, n) + n * s.bytes_per_token;
  const std::int64_t rest = s.tokens->at(n) + s.head->at(n);
  row->last = ContextKnots::index(n * (kMaxContext / std::max<std::int64_t>(1, n / 64)));
  const std::size_t count = row->last - row->first + 1;
  const double batch = static_cast<double>(n),
               scale = factor_[kDecodeTerm] * hardware_->step_correction * static_cast<double>(s.layers);
  std::int64_t attention = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t context = ContextKnots::value(row->first + i);
    const Shape x{batch, static_cast<double>(context) / batch, static_cast<double>(heads_),
                  static_cast<double>(kv_heads_), static_cast<double>(model_.head_dim)};
    // More context is never cheaper: a dip of the residual is held level.
    attention = std::max(attention, picoseconds(scale * variant_.decode_seconds(x)));
    const std::int64_t time = row->host + std::max(rest + attention, s.launch);
    const double flops =
        static_cast<double>(row->flops) + static_cast<double>(s.flops_per_pair) * static_cast<double>(context);
    const double bytes =
        static_cast<double>(row->bytes) + static_cast<double>(s.bytes_per_context) * static_cast<double>(context);
    const std::int64_t energy = rounded(nanojoules(static_cast<double>(time) * 1e-12, flops, bytes));
    row->knots.push_back({context, time, 0, energy, 0, attention, 0, ContextKnots::value(row->first + i + 1),
                          static_range_ && hardware_->decode.in_range(x)});
  }
  for (std::size_t i = 0; i + 1 < count; ++i) {
    Row::Knot& a = row->knots[i];
    const Row::Knot& b = row->knots[i + 1];
    a.time_slope = slope_of(b.time - a.time, b.context - a.context);
    a.energy_slope = slope_of(b.energy - a.energy, b.context - a.context);
    a.attention_slope = slope_of(b.attention - a.attention, b.context - a.context);
  }
  if (count > 1) {  // the last slope goes on for ever
    const Row::Knot& before = row->knots[count - 2];
    Row::Knot& last = row->knots.back();
    last.time_slope = before.time_slope;
    last.energy_slope = before.energy_slope;
    last.attention_slope = before.attention_slope;
  }
  row->knots.back().end = std::numeric_limits<std::int64_t>::max() / 2;
  row->knots.back().in_range = false;
  return row;
}

std::unique_ptr<OperatorCostModel::ChunkTable> OperatorCostModel::bake_chunks(const Stage& s, std::size_t level) const {
  auto table = std::make_unique<ChunkTable>();
  const double batch = static_cast<double>(std::int64_t{1} << level);
  const double scale = 1e12 * factor_[kPrefillTerm] * hardware_->step_correction * static_cast<double>(s.layers);
  for (std::size_t i = 1; i < ChunkTable::kRows; ++i) {
    double longest = 0;
    for (std::size_t j = 0; j < ChunkTable::kColumns; ++j) {
      const Shape x{batch, static_cast<double>(QueryKnots::value(i)), static_cast<double>(PrefixKnots::value(j)),
                    static_cast<double>(heads_), static_cast<double>(kv_heads_), static_cast<double>(model_.head_dim)};
      longest = std::max(longest, scale * variant_.prefill_seconds(x));
      table->picoseconds[i * ChunkTable::kColumns + j] = longest;
      table->in_range[i * ChunkTable::kColumns + j] = static_range_ && hardware_->prefill.in_range(x) ? 1 : 0;
    }
  }
  return table;
}

inline const OperatorCostModel::Row& OperatorCostModel::row(const Stage& s, std::int64_t n) const {
  const auto i = static_cast<std::size_t>(n);
  if (i >= s.rows.size()) s.rows.resize(i + i / 2 + 64);
  if (!s.rows[i]) s.rows[i] = bake_row(s, n);
  return *s.rows[i];
}

inline const OperatorCostModel::ChunkTable& OperatorCostModel::chunks(const Stage& s, std::size_t level) const {
  if (!s.chunk_tables[level]) s.chunk_tables[level] = bake_chunks(s, level);
  return *s.chunk_tables[level];
}

StepRun OperatorCostModel::price_longest(std::span<const StepShape> members, int stage) const {
  StepRun longest;
  for (const StepShape& member : members) {
    StepRun run = price({&member, 1}, stage);
    run.valid = 1;
    if (run.first >= longest.first) longest = run;
  }
  return longest;
}

[[gnu::always_inline]] inline StepRun OperatorCostModel::price_decode(const StepShape& x, const Stage& s) const {
  const std::int64_t n = x.decodes.value(), context = x.decode_context.value();
  const Row& r = row(s, n);
  const Row::Knot& k = r.knot(context);
  const std::int64_t past = context - k.context;
  StepRun run;
  run.first = Duration{k.time + k.time_slope * past};
  run.step = Duration{k.time_slope * n};
  run.e_first = Energy{k.energy + k.energy_slope * past};
  run.e_step = Energy{k.energy_slope * n};
  run.valid = (k.end - 1 - context) / n + 1;
  run.host = Duration{r.host};
  run.grade = variant_.grade();
  run.in_range = k.in_range;
  run.flops = r.flops + s.flops_per_pair * context;
  run.flops_step = s.flops_per_pair * n;
  run.bytes = r.bytes + s.bytes_per_context * context;
  run.bytes_step = s.bytes_per_context * n;
  return run;
}

inline double OperatorCostModel::chunk_alone(std::int64_t q, std::int64_t context, const Stage& s,
                                             bool& in_range) const {
  const ChunkTable& table = chunks(s, 0);
  const ChunkTable::Place place(q, context);
  in_range = in_range && table.in_range_at(place);
  return table.at(place);
}

/// All chunks run in one launch: a launch of as many equal chunks with the same tokens and pairs, and never less than
/// the largest chunk alone.
double OperatorCostModel::chunk_picoseconds(const StepShape& x, const Stage& s, bool& in_range) const {
  std::int64_t count = std::max<std::int64_t>(1, x.sequences - x.decodes.value());
  bool behind_context = false;
  std::int64_t q = x.prefill.value(), pairs2 = 2 * x.prefill_pairs, longest_q = 0, longest_context = 0;
  if (!x.chunks.empty()) {
    count = static_cast<std::int64_t>(x.chunks.size());
    q = pairs2 = 0;
    std::int64_t longest = -1;
    for (const ChunkShape& c : x.chunks) {
      const std::int64_t pairs = c.q.value() * (2 * c.context.value() + c.q.value());
      q += c.q.value();
      pairs2 += pairs;
      behind_context = behind_context || c.context.value() > 0;
      if (pairs > longest) longest = pairs, longest_q = c.q.value(), longest_context = c.context.value();
    }
  }
  if (q <= 0) return 0;
  if (count == 1) return chunk_alone(q, std::max<std::int64_t>(0, pairs2 / q - q + 1) / 2, s, in_range);
  const std::int64_t mean_q = std::max<std::int64_t>(1, (q + count / 2) / count);
  const std::int64_t mean_context = std::max<std::int64_t>(0, (pairs2 / (count * mean_q) - mean_q) / 2);
  if (longest_q == 0) behind_context = mean_context > 0;  // from sums alone unequal prompts look like a context
  const auto level =
      std::min(static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(count)) - 1), kChunkLevels - 2);
  const ChunkTable::Place mean(mean_q, mean_context);
  const ChunkTable &below_table = chunks(s, level), &above_table = chunks(s, level + 1);
  // Where contexts were never measured: unequal whole prompts count a context in the mean, and have none.
  const bool whole_prompts = hardware_->prefill.op == Op::kPrefill && !behind_context;
  const ChunkTable::Place judged(mean_q,
                                 whole_prompts ? 0 : std::max<std::int64_t>(mean_context, behind_context ? 1 : 0));
  in_range = in_range && below_table.in_range_at(judged) && above_table.in_range_at(judged);
  const double low = below_table.at(mean), high = above_table.at(mean);
  const double below = static_cast<double>(std::int64_t{1} << level);
  const double together = low + (high - low) * ((static_cast<double>(count) - below) / below);
  return longest_q == 0 ? together : std::max(together, chunks(s, 0).at({longest_q, longest_context}));
}

inline Duration OperatorCostModel::transfer(const StepShape& x) const {
  const std::int64_t bytes = std::max(x.host_in.value(), x.host_out.value());  // PCIe is full duplex
  if (bytes == 0) return Duration{};
  const double rate = hardware_->specs.pcie_bytes_per_s * hardware_->pcie_efficiency * devices();
  return Duration{picoseconds(static_cast<double>(bytes) / rate)};
}

[[gnu::always_inline]] inline StepRun OperatorCostModel::price_mixed(const StepShape& x, const Stage& s) const {
  // A backward pass through the frozen weights computes one gradient a forward: as many FLOPs again.
  const std::int64_t tokens =
      x.decodes.value() + x.prefill.value() + x.draft.value() + x.filler_forward.value() + x.filler_backward.value();
  StepRun run;
  run.grade = variant_.grade();
  run.in_range = static_range_;
  std::int64_t device = s.tokens->at(tokens) + s.head->at(x.outputs);
  if (x.decodes.value() > 0) {
    const Row::Knot& k = row(s, x.decodes.value()).knot(x.decode_context.value());
    device += k.attention + k.attention_slope * (x.decode_context.value() - k.context);
    run.in_range = run.in_range && k.in_range;
  }
  std::int64_t read = x.decode_context.value() + x.prefill.value();
  if (x.chunks.size() == 1 && x.chunks[0].q.value() > 0) {
    const std::int64_t before = x.chunks[0].context.value();
    device += rounded(chunk_alone(x.chunks[0].q.value(), before, s, run.in_range));
    read += before;
  } else {
    if (x.prefill.value() > 0) device += rounded(chunk_picoseconds(x, s, run.in_range));
    for (const ChunkShape& c : x.chunks) read += c.context.value();
  }
  run.host = Duration{tokens > 0 ? s.host + x.sequences * s.host_per_sequence : 0};
  const Duration compute = run.host + Duration{tokens > 0 ? std::max(device, s.launch) : 0};
  run.first = std::max(compute, transfer(x));
  run.flops = tokens * s.flops_per_token + x.outputs * s.flops_per_output +
              s.flops_per_pair * (x.decode_context.value() + x.prefill_pairs);
  run.bytes = tokens > 0 ? weight_bytes(s, tokens) + tokens * s.bytes_per_token + read * s.bytes_per_context : 0;
  run.e_first = Energy{
      rounded(nanojoules(to_seconds(run.first), static_cast<double>(run.flops), static_cast<double>(run.bytes)))};
  return run;
}

StepRun OperatorCostModel::price(std::span<const StepShape> members, int stage) const {
  if (members.size() != 1) return price_longest(members, stage);
  const StepShape& x = members[0];
  const Stage& s = *stages_[static_cast<std::size_t>(stage)];
  const bool decodes_alone = (x.prefill.value() | x.draft.value() | x.filler_forward.value() |
                              x.filler_backward.value() | x.host_in.value() | x.host_out.value()) == 0 &&
                             x.decodes.value() > 0 && (x.outputs == 0 || x.outputs == x.decodes.value());
  return decodes_alone ? price_decode(x, s) : price_mixed(x, s);
}

Duration OperatorCostModel::hop(Tokens tokens) const {
  if (parallel_.pp == 1) return Duration{};
  const double bytes = value_bytes_ * static_cast<double>(tokens.value() * model_.hidden) / parallel_.tp;
  return Duration{picoseconds(factor_[kLinks] * hardware_->send_recv.seconds(bytes))};
}

Duration OperatorCostModel::collectives(const StepShape& x, int stage) const {
  const Stage& s = *stages_[static_cast<std::size_t>(stage)];
  if (s.token_links == nullptr) return Duration{};
  const Tokens tokens = x.decodes + x.prefill + x.draft + x.filler_forward + x.filler_backward;
  return Duration{s.token_links->at(tokens.value()) + s.head_links->at(x.outputs)};
}

Duration OperatorCostModel::roofline(const StepShape& x, int stage) const {
  const StepRun run = price({&x, 1}, stage);
  const double flops = static_cast<double>(run.flops) / (hardware_->specs.flops_per_s * parallel_.tp);
  const double bytes = static_cast<double>(run.bytes) / (hardware_->specs.memory_bytes_per_s * parallel_.tp);
  return Duration{picoseconds(std::max(flops, bytes))};
}

std::unique_ptr<OperatorCostModel> OperatorCostModel::perturbed(std::uint64_t seed) const {
  std::array<double, kTerms> factor = factor_;
  for (std::size_t term = 0; term < kTerms; ++term) {
    Rng rng(seed, Purpose::kModelError, term);
    double z = -6;  // the sum of twelve uniforms less 6: mean 0, variance 1
    for (int i = 0; i < 12; ++i) z += rng.uniform();
    double sigma = term == kPrefillTerm  ? hardware_->prefill.sigma
                   : term == kDecodeTerm ? hardware_->decode.sigma
                                         : hardware_->gemm.sigma;
    if (term == kLinks) sigma = hardware_->all_reduce.empty() ? 0 : hardware_->all_reduce.back().mape;
    factor[term] *= fast_exp(z * sigma / 100);
  }
  return std::unique_ptr<OperatorCostModel>(
      new OperatorCostModel(model_, hardware_, parallel_, host_, variants_, block_tokens_, factor));
}

}  // namespace orrery
