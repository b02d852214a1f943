#include "policies/register.hpp"

#include <utility>

#include "policies/admission/none.hpp"
#include "policies/admission/queue_limit.hpp"
#include "policies/admission/rpm.hpp"
#include "policies/batching/fastgen.hpp"
#include "policies/batching/orca.hpp"
#include "policies/batching/s3.hpp"
#include "policies/batching/sarathi.hpp"
#include "policies/batching/sequence_scheduling.hpp"
#include "policies/batching/sglang.hpp"
#include "policies/batching/static_batching.hpp"
#include "policies/batching/tensorrt_llm.hpp"
#include "policies/batching/tgi.hpp"
#include "policies/batching/vllm.hpp"
#include "policies/batching/vllm_v1.hpp"
#include "policies/disaggregation/distserve.hpp"
#include "policies/disaggregation/shortest_queue.hpp"
#include "policies/disaggregation/splitwise.hpp"
#include "policies/disaggregation/tetriinfer.hpp"
#include "policies/fairness/vtc.hpp"
#include "policies/kv/contiguous.hpp"
#include "policies/kv/paged.hpp"
#include "policies/migration/in_turn.hpp"
#include "policies/migration/infaas.hpp"
#include "policies/migration/llumnix.hpp"
#include "policies/order/edf.hpp"
#include "policies/order/fcfs.hpp"
#include "policies/order/lpm.hpp"
#include "policies/order/mlfq.hpp"
#include "policies/order/priority.hpp"
#include "policies/order/sjf.hpp"
#include "policies/order/srpt.hpp"
#include "policies/power/by_priority.hpp"
#include "policies/power/no_cap.hpp"
#include "policies/power/one_threshold_all.hpp"
#include "policies/power/one_threshold_low.hpp"
#include "policies/power/polca.hpp"
#include "policies/predictor/bucket.hpp"
#include "policies/predictor/gaussian.hpp"
#include "policies/predictor/none.hpp"
#include "policies/predictor/oracle.hpp"
#include "policies/qoe/andes.hpp"
#include "policies/qoe/round_robin.hpp"
#include "policies/routing/least_loaded.hpp"
#include "policies/routing/least_tokens.hpp"
#include "policies/routing/power_of_two.hpp"
#include "policies/routing/prefix_aware.hpp"
#include "policies/routing/random.hpp"
#include "policies/routing/round_robin.hpp"
#include "policies/routing/session_sticky.hpp"
#include "policies/scaling/schedule.hpp"
#include "policies/scaling/target.hpp"
#include "policies/scaling/threshold.hpp"
#include "policies/serverless/download.hpp"
#include "policies/serverless/serverless_random.hpp"
#include "policies/serverless/serverlessllm.hpp"
#include "policies/serverless/shepherd.hpp"
#include "policies/serverless/ssd_cache.hpp"
#include "policies/spot/reparallelization.hpp"
#include "policies/spot/rerouting.hpp"
#include "policies/spot/spotserve.hpp"

namespace orrery {

void register_policies(Registry& r) {
  r.family("batching");
  r.add<StaticBatching>("static", "FasterTransformer, request-level batching (baseline of Orca, OSDI'22)",
                        {"static-batching", "faster-transformer", "fastertransformer"});
  r.add<Orca>("orca", "Orca (OSDI'22)");
  r.add<Vllm>("vllm", "vLLM 0.2, PagedAttention (SOSP'23)", {"vllm-0.2", "vllm_v0", "vllm-v0"});
  r.add<VllmV1>("vllm-v1", "vLLM v1 scheduler (2025)", {"vllm_v1"});
  r.add<Tgi>("tgi", "Text Generation Inference v3 (Hugging Face)", {"text-generation-inference"});
  r.add<TensorRtLlm>("tensorrt-llm", "TensorRT-LLM in-flight batching (NVIDIA)", {"tensorrt_llm", "trtllm", "trt-llm"});
  r.add<FastGen>("fastgen", "DeepSpeed-FastGen, Dynamic SplitFuse (arXiv 2401.08671)",
                 {"deepspeed-fastgen", "splitfuse", "dynamic-splitfuse"});
  r.add<Sarathi>("sarathi", "Sarathi-Serve (OSDI'24)", {"sarathi-serve"});
  r.add<Sglang>("sglang", "SGLang (NeurIPS'24)");
  r.add<SequenceScheduling>("sequence-scheduling", "Response-length perception and sequence scheduling (NeurIPS'23)",
                            {"sequence_scheduling", "seqsch"});
  r.add<S3>("s3", "S3, scheduling sequences with predicted lengths (NeurIPS'23)");

  r.family("kv");
  r.add<Paged>("paged", "PagedAttention (SOSP'23); TGI; TensorRT-LLM; S3 (NeurIPS'23)");
  r.add<Contiguous>("contiguous", "Orca (OSDI'22) and its variants in the vLLM paper (SOSP'23)");

  r.family("order");
  r.add<Fcfs>("fcfs", "First come, first served");
  r.add<Priority>("priority", "Strict priority, or with linear aging (vLLM v1)");
  r.add<Sjf>("sjf", "Shortest job first, predicted");
  r.add<Srpt>("srpt", "Shortest remaining processing time, predicted");
  r.add<Edf>("edf", "Earliest deadline first");
  r.add<Mlfq>("mlfq", "Skip-join multi-level feedback queue (FastServe, arXiv 2305.05920)", {"fastserve"});
  r.add<Lpm>("lpm", "Longest prefix match (SGLang, NeurIPS'24)", {"longest-prefix-match"});

  r.family("predictor");
  r.add<NoPrediction>("none", "No prediction");
  r.add<Oracle>("oracle", "Knows the true length");
  r.add<Bucket>("bucket", "Bucket classifier with a given accuracy (S3, NeurIPS'23)");
  r.add<Gaussian>("gaussian", "Regressor with Gaussian error (Response-length perception, NeurIPS'23)");

  r.family("routing");
  r.add<RoundRobin>("round-robin", "Stations in turn", {"round_robin"});
  r.add<RandomRouter>("random", "Uniformly at random");
  r.add<LeastLoaded>("least-loaded", "Join the shortest queue", {"least_loaded", "jsq"});
  r.add<LeastTokens>("least-tokens", "Fewest tokens", {"least_tokens"});
  r.add<PowerOfTwo>("power-of-two", "Power of two choices (Mitzenmacher, TPDS 2001)", {"power_of_two"});
  r.add<SessionSticky>("session-sticky", "Sessions stay at their station", {"session_sticky"});
  r.add<PrefixAware>("prefix-aware", "Cache-aware routing (SGLang router)", {"prefix_aware", "cache-aware"});

  r.family("admission");
  r.add<NoAdmissionLimit>("none", "Takes all");
  r.add<QueueLimit>("queue-limit", "A queue of limited length (SGLang max_queued_requests)", {"queue_limit"});
  r.add<Rpm>("rpm", "Requests per minute and tenant (baseline of VTC, OSDI'24)");

  r.family("power");
  r.add<ByPriority>("by-priority", "Servers of one priority (POLCA, ASPLOS'24)", {"by_priority"});
  r.add<Polca>("polca", "POLCA, power oversubscription (ASPLOS'24)");
  r.add<OneThresholdLow>("one-threshold-low", "1-Thresh-Low-Pri (baseline of POLCA, ASPLOS'24)", {"one_threshold_low"});
  r.add<OneThresholdAll>("one-threshold-all", "1-Thresh-All (baseline of POLCA, ASPLOS'24)", {"one_threshold_all"});
  r.add<NoCap>("no-cap", "The power brake alone (baseline of POLCA, ASPLOS'24)", {"no_cap"});

  r.family("disaggregation");
  r.add<ShortestQueue>("shortest-queue", "Join the shortest queue, over pools", {"shortest_queue"});
  r.add<Splitwise>("splitwise", "Splitwise (ISCA'24)");
  r.add<DistServe>("distserve", "DistServe (OSDI'24)");
  r.add<TetriInfer>("tetriinfer", "TetriInfer (arXiv 2401.11181)", {"tetri-infer"});
  r.add<TetriInferOrder>("tetriinfer", "TetriInfer (arXiv 2401.11181), local order of a prefill instance",
                         {"tetri-infer"});

  r.family("scaling");
  r.add<TargetScaling>("target", "Target tracking (Kubernetes HorizontalPodAutoscaler)", {"target-tracking", "hpa"});
  r.add<ScheduleScaling>("schedule", "A timetable of instances");
  r.add<ThresholdScaling>("threshold", "Thresholds with a rest after each change");
  r.family("spot");
  r.add<SpotServe>("spotserve", "SpotServe, preemptible instances (ASPLOS'24)");
  r.add<Rerouting>("rerouting", "Drop a pipeline that loses a node (baseline of SpotServe, ASPLOS'24)");
  r.add<Reparallelization>("reparallelization", "Restart in another layout (baseline of SpotServe, ASPLOS'24)",
                           {"reparallelisation"});

  r.family("serverless");
  r.add<ServerlessLlm>("serverlessllm", "ServerlessLLM (OSDI'24)", {"sllm", "serverless-llm"});
  r.add<Shepherd>("shepherd", "Shepherd*, preemption with loads estimated (baseline of ServerlessLLM, OSDI'24)");
  r.add<ServerlessRandom>("serverless-random", "Serverless, random availability (baseline of ServerlessLLM, OSDI'24)");
  r.add<SsdCache>("ssd-cache", "Ray Serve with a cache on disk (baseline of ServerlessLLM, OSDI'24)");
  r.add<Download>("download", "Ray Serve, downloads (baseline of ServerlessLLM, OSDI'24)");
  r.family("migration");
  r.add<Llumnix>("llumnix", "Llumnix (OSDI'24)");
  r.add<Infaas>("infaas", "INFaaS++, least memory load (baseline of Llumnix, OSDI'24)", {"infaas++"});
  r.add<InTurn>("in-turn", "Instances in turn (round robin, baseline of Llumnix, OSDI'24)", {"in_turn", "round-robin"});

  r.family("qoe");
  r.add<Andes>("andes", "Andes, quality of experience (arXiv 2404.16283)");
  r.add<RoundRobinBatching>("round-robin", "Round robin over calls (baseline of Andes, arXiv 2404.16283)", {"rr"});

  r.family("fairness");
  r.add<Vtc>("vtc", "VTC, fair sharing between tenants (OSDI'24)", {"virtual-token-counter"});
}

const Registry& shipped_policies() {
  static const Registry all = [] {
    Registry r;
    register_policies(r);
    return r;
  }();
  return all;
}

std::string_view usual_kv(std::string_view batching) {
  static constexpr std::pair<std::string_view, std::string_view> kUsual[] = {
      {"static", R"({"name": "contiguous", "reserve": "max-new"})"},
      {"orca", R"({"name": "contiguous", "reserve": "max-new"})"},
      {"tgi", R"({"name": "paged", "reserve": "max-new", "watermark": 0})"},
      {"tensorrt-llm", R"({"name": "paged", "reserve": "no-evict", "watermark": 0})"},
      {"fastgen", R"({"name": "paged", "reserve": "per-chunk", "watermark": 0})"},
      {"sglang", R"({"name": "paged", "reserve": "per-chunk", "watermark": 0})"},
      {"sequence-scheduling", R"({"name": "contiguous", "reserve": "max-new"})"},
      {"s3", R"({"name": "paged", "reserve": "predicted", "watermark": 0, "preempt": "swap"})"},
      {"vllm-v1", R"({"name": "paged", "reserve": "per-chunk", "watermark": 0})"},
  };
  for (const auto& [system, kv] : kUsual)
    if (system == batching) return kv;
  return R"("paged")";
}

}  // namespace orrery
