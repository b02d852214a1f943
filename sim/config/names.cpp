#include "sim/config/names.hpp"

#include <algorithm>
#include <limits>

namespace orrery {
namespace {

constexpr std::size_t kMaxNames = 40;    // a list longer than this helps nobody
constexpr std::size_t kMaxLength = 200;  // hostile input must not cost a quadratic table

/// What engines, load generators and other simulators call the same thing; a line a meaning.
constexpr std::string_view kSameMeaning[] = {
    "max_running max_num_seqs max_batch_size max_running_requests max_concurrent_requests max_seqs batch_size max_bs",
    "token_budget max_num_batched_tokens max_num_tokens max_batch_prefill_tokens chunk_size chunked_prefill_size",
    "prefill_budget max_prefill_tokens",
    "chunked_prefill enable_chunked_prefill enable_chunked_context",
    "prefix_cache enable_prefix_caching prefix_caching enable_block_reuse radix_cache",
    "max_model_len max_seq_len context_length context_len max_context max_total_tokens",
    "gpu_memory_utilization free_gpu_memory_fraction mem_fraction_static gpu_memory_fraction memory_utilization",
    "block_size tokens_per_block page_size",
    "kv_blocks num_gpu_blocks num_gpu_blocks_override",
    "swap_space host_cache_size cpu_swap_space",
    "tp tensor_parallel_size tensor_parallel tp_size",
    "pp pipeline_parallel_size pipeline_parallel pp_size",
    "replicas num_replicas replica_num instances gpus num_gpus num_nodes data_parallel_size dp dp_size",
    "kv_dtype kv_cache_dtype",
    "batching scheduler batcher scheduling batch scheduling_policy",
    "router routing routing_policy load_balancer load_balancing lb",
    "order queue queue_order ordering priority_policy",
    "predictor length_predictor",
    "kv kv_cache allocator memory",
    "hardware gpu device accelerator gpu_type",
    "rate qps rps request_rate arrival_rate requests_per_second",
    "requests num_requests num_prompts n",
    "users clients num_clients concurrency max_concurrency num_users",
    "cv burstiness",
    "lengths length dataset",
    "prompt input input_len input_tokens isl prompt_tokens",
    "output output_len output_tokens osl max_new_tokens",
    "slo sla slos",
    "seeds replications repeats runs",
    "itl_p99 tbt_p99 tbt itl inter_token_latency",
    "tpot_p99 tpot time_per_output_token",
    "ttft_p99 ttft p99_ttft time_to_first_token",
    "e2e_p99 e2e e2el latency e2e_latency",
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '_' ? '-' : c; }

bool contains(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

std::string quoted(std::string_view s) { return '"' + std::string(s.substr(0, kMaxLength)) + '"'; }

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<int> before(width), last(width), row(width);
  for (std::size_t j = 0; j < width; ++j) last[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j < width; ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > kMaxLength) return "";
  std::string best;
  int best_distance = std::numeric_limits<int>::max();
  for (const std::string& candidate : known) {
    const int distance = edit_distance(name, candidate);
    const int allowed = std::max<int>(2, static_cast<int>(std::max(name.size(), candidate.size())) / 3);
    const bool near = distance <= allowed && distance < static_cast<int>(std::max(name.size(), candidate.size()));
    if (near && distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (!best.empty() || name.size() < 3) return best;
  const auto holder = std::find_if(known.begin(), known.end(), [&](const std::string& k) { return contains(k, name); });
  return holder == known.end() ? "" : *holder;
}

std::string same_meaning(std::string_view name, const std::vector<std::string>& known) {
  const auto calls = [](std::string_view words, std::string_view word) {
    for (std::size_t from = 0; from < words.size();) {
      const std::size_t to = std::min(words.find(' ', from), words.size());
      if (edit_distance(words.substr(from, to - from), word) == 0) return true;   // case and dashes aside
      from = to + 1;
    }
    return false;
  };
  if (name.empty() || name.size() > kMaxLength) return "";
  for (const std::string_view words : kSameMeaning) {
    if (!calls(words, name)) continue;
    for (const std::string& key : known)
      if (calls(words, key)) return key;
  }
  return "";
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  std::string nearest = same_meaning(name, known);
  if (nearest.empty()) nearest = nearest_name(name, known);
  return nearest.empty() ? "" : "; did you mean " + quoted(nearest) + "?";
}

std::string unknown_name(std::string_view kind, std::string_view name, const std::vector<std::string>& known,
                         const std::vector<std::string>& aliases) {
  std::string message = "unknown " + std::string(kind) + " " + quoted(name);
  std::vector<std::string> all = known;
  all.insert(all.end(), aliases.begin(), aliases.end());
  const std::string hint = did_you_mean(name, all);
  if (!hint.empty() || known.empty()) return message + hint;
  message += "; known: ";
  for (std::size_t i = 0; i < std::min(known.size(), kMaxNames); ++i) message += (i == 0 ? "" : ", ") + known[i];
  return known.size() > kMaxNames ? message + ", ..." : message;
}

}  // namespace orrery
