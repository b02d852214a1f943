#include "traces/shipped_models.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/distribution.hpp"
#include "sim/config/units.hpp"
#include "traces/fit.hpp"
#include "traces/text_file.hpp"

namespace orrery {
namespace {

constexpr std::size_t kPoints = 20'000;   // of a distribution that is known by its moments

/// Quantile i of `count` at the middle of its share.
std::int64_t quantile(const Distribution& d, std::size_t i, std::size_t count) {
  const double x = d.quantile((static_cast<double>(i) + 0.5) / static_cast<double>(count));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(x + 0.5)));
}

/// Numbers that pair independent quantiles: i -> i * kStride mod n is a permutation, spread evenly.
constexpr std::size_t kStride = 12'347;

/// Mean 161 / 338 are published (see the source); the two sigmas are those for which cutting prompt + output at 2048
/// leaves 144 / 326, the means that the memory experiment of the vLLM paper is usually repeated with.
WorkloadSample sharegpt_like() {
  const Distribution prompt = Distribution::parse("lognormal:161,1.6"),
                     output = Distribution::parse("lognormal:338,0.93");
  WorkloadSample s;
  for (std::size_t i = 0; i < kPoints; ++i) {
    const std::int64_t p = std::min<std::int64_t>(quantile(prompt, i, kPoints), 2047);
    s.prompt.push_back(p);
    s.output.push_back(std::min(quantile(output, i * kStride % kPoints, kPoints), 2048 - p));
  }
  return s;
}

/// Answers: the lengths of the reference answers (column L_gt). Prompts: mean 19.3 as published; sigma 0.6 is assumed.
WorkloadSample alpaca_like(const std::string& path) {
  TextFile file(path);
  if (!file.more()) throw ConfigError(path + ": is empty");
  if (const std::string header(file.take_line()); header.rfind("id,L_gt,", 0) != 0) {
    throw ConfigError(path + ":1: expected the columns id,L_gt,..., got \"" + header + "\"");
  }
  WorkloadSample s;
  for (std::int64_t line = 2; file.more(); ++line) {
    const std::string row(file.take_line());
    const auto first = row.find(','), second = row.find(',', first + 1);
    const auto answer = first == row.npos ? std::nullopt : parse_number(row.substr(first + 1, second - first - 1));
    if (!answer || *answer < 1)
      throw ConfigError(path + ":" + std::to_string(line) + ": L_gt: expected a number of at least 1");
    s.output.push_back(static_cast<std::int64_t>(*answer));
  }
  const std::size_t n = s.output.size();
  const Distribution prompt = Distribution::parse("lognormal:19.3,0.6");
  for (std::size_t i = 0; i < n; ++i) s.prompt.push_back(quantile(prompt, i * kStride % n, n));
  return s;
}

}  // namespace

const std::vector<ShippedModel>& shipped_models() {
  static const std::vector<ShippedModel> kModels{
      {"alpaca-like", "seqsched_alpaca_train_lengths.csv",
       "outputs: reference answers of 10,000 Alpaca instructions, zhengzangw/Sequence-Scheduling @ 3992f34113d1; "
       "prompts: "
       "lognormal of mean 19.3 (PagedAttention, SOSP'23, fig. 11: 8.4 times shorter than ShareGPT's 161), sigma 0.6 "
       "assumed, "
       "independent of the output"},
      {"arxiv-summarization", "vidur_arxiv_summarization_lengths.csv",
       "arXiv summarisation, at most 4096 tokens, Llama-2 tokenizer: microsoft/vidur @ 7d47513363ec (MIT), "
       "arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv; no arrival times"},
      {"azure-code-2023", "azure_llm_2023_code.csv",
       "Azure LLM inference trace 2023, code: Azure/AzurePublicDataset @ b469a113cedc (CC-BY 4.0); Splitwise, ISCA'24"},
      {"azure-conv-2023", "azure_llm_2023_conv.csv",
       "Azure LLM inference trace 2023, conversation: Azure/AzurePublicDataset @ b469a113cedc (CC-BY 4.0); Splitwise, "
       "ISCA'24"},
      {"lmsys-chat", "apex_llama_lmsys.csv",
       "LMSYS chat sample of 1,024 requests, Llama tokenizer: microsoft/apex_plus @ 8769096536a3 (MIT), "
       "traces/llama/lmsys_05.jsonl; "
       "arrivals are synthetic there, about 0.5/s"},
      {"long-generation", "apex_llama_creation.csv",
       "creative writing sample of 512 requests, Llama tokenizer: microsoft/apex_plus @ 8769096536a3 (MIT), "
       "traces/llama/creation_05.jsonl; arrivals are synthetic there, about 0.5/s"},
      {"mooncake-conversation", "mooncake_fast25_conversation.jsonl",
       "Mooncake conversation trace: kvcache-ai/Mooncake @ 3b5a59413395 (Apache-2.0), FAST'25 release; prefixes in "
       "blocks of 512 tokens"},
      {"sharegpt-like", "",
       "lognormal prompts and outputs of mean 161 / 338 (PagedAttention, SOSP'23, fig. 11; KIVI quotes the same), "
       "sigma 1.6 / 0.93 such "
       "that prompt + output <= 2048 leaves 144 / 326, independent; no trace"},
  };
  return kModels;
}

Value fit_shipped_model(std::string_view name, const std::string& folder) {
  const auto& all = shipped_models();
  const auto model = std::find_if(all.begin(), all.end(), [&](const ShippedModel& m) { return m.name == name; });
  if (model == all.end()) throw ConfigError("no shipped workload model \"" + std::string(name) + "\"");
  const std::string path = folder + "/" + std::string(model->file);
  if (name != "sharegpt-like" && name != "alpaca-like") {
    TraceReader trace = TraceReader::open(path, {.arrivals = false, .output = 0});
    return fit_workload(trace, std::string(name), std::string(model->source));
  }
  const WorkloadSample sample = name == "alpaca-like" ? alpaca_like(path) : sharegpt_like();
  const WorkloadModel fitted = fit_model(sample, std::string(name), std::string(model->source), 8);
  Value v = fitted.to_value();
  v["fit"] = fit_errors(fitted, sample);
  return v;
}

}  // namespace orrery
