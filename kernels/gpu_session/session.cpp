#include "kernels/gpu_session/session.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <stdexcept>

#include "kernels/engine/weights_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return out + '"';
}
std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", x);
  return text;
}

#if defined(ORRERY_GPU_CUDA)
constexpr int kSamples = 9;

double median_of(std::vector<double> x, double& spread) {
  std::sort(x.begin(), x.end());
  spread = x[x.size() * 3 / 4] - x[x.size() / 4];
  return x[x.size() / 2];
}

/// Ends what it owns, whichever way a measurement ends.
struct Captured {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  ~Captured() {
    if (exec) cudaGraphExecDestroy(exec);
    if (graph) cudaGraphDestroy(graph);
    if (begin) cudaEventDestroy(begin);
    if (end) cudaEventDestroy(end);
  }
};

std::string describe_machine() {
  cudaDeviceProp p{};
  int driver = 0, runtime = 0;
  check_cuda(cudaGetDeviceProperties(&p, 0), "properties of the device");
  check_cuda(cudaDriverGetVersion(&driver), "version of the driver");
  check_cuda(cudaRuntimeGetVersion(&runtime), "version of the runtime");
  return "{\"gpu\": " + quoted(p.name) + ", \"processors\": " + std::to_string(p.multiProcessorCount) +
         ", \"memory_bytes\": " + std::to_string(p.totalGlobalMem) +
         ", \"l2_bytes\": " + std::to_string(p.l2CacheSize) +
         ", \"capability\": " + std::to_string(10 * p.major + p.minor) + ", \"driver\": " + std::to_string(driver) +
         ", \"runtime\": " + std::to_string(runtime) + "}";
}
#endif

}  // namespace

#if defined(ORRERY_GPU_CUDA)
Session::Session(Size size) : size_(size), processors_(device_processors()), machine_(describe_machine()) {
  cudaStream_t stream;
  check_cuda(cudaStreamCreate(&stream), "a stream");
  stream_ = stream;
  int bytes = 0;
  check_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "size of the L2 cache");
  l2_bytes_ = bytes;
}
Session::~Session() { cudaStreamDestroy(static_cast<cudaStream_t>(stream_)); }

Timing Session::time(int copies, const std::function<void(int, Stream)>& launch) {
  const auto stream = static_cast<cudaStream_t>(stream_);
  Captured c;
  check_cuda(cudaEventCreate(&c.begin), "an event");
  check_cuda(cudaEventCreate(&c.end), "an event");
  const auto milliseconds = [&](const std::function<void()>& work) {
    check_cuda(cudaEventRecord(c.begin, stream), "an event");
    work();
    check_cuda(cudaEventRecord(c.end, stream), "an event");
    check_cuda(cudaEventSynchronize(c.end), "waiting for kernels");
    float ms = 0;
    check_cuda(cudaEventElapsedTime(&ms, c.begin, c.end), "elapsed time");
    return double{ms};
  };
  launch(0, stream_);                                             // loads the kernel
  check_cuda(cudaStreamSynchronize(stream), "the first launch");
  const double once = milliseconds([&] { for (int i = 0; i < copies; ++i) launch(i, stream_); }) / copies;
  const int rounds = std::clamp(static_cast<int>(4 / std::max(once * copies, 1e-3)), 1, std::max(1, 400 / copies));
  const int launches = rounds * copies;
  check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture of a graph");
  try {
    for (int i = 0; i < launches; ++i) launch(i % copies, stream_);
  } catch (...) { // else nothing could be allocated any more, and every later
                  // case would fail
    cudaStreamEndCapture(stream, &c.graph);
    throw;
  }
  check_cuda(cudaStreamEndCapture(stream, &c.graph), "capture of a graph");
  check_cuda(cudaGraphInstantiate(&c.exec, c.graph, 0), "a graph");
  std::vector<double> samples;
  for (int i = -2; i < kSamples; ++i) {
    const double ms = milliseconds([&] { check_cuda(cudaGraphLaunch(c.exec, stream), "launch of a graph"); });
    if (i >= 0) samples.push_back(ms * 1e-3 / launches);
  }
  Timing t;
  t.seconds = median_of(samples, t.spread);
  return t;
}
#else
Session::Session(Size size) : size_(size), processors_(device_processors()), machine_("{\"gpu\": \"emulated\"}") {}
Session::~Session() = default;

Timing Session::time(int copies, const std::function<void(int, Stream)>& launch) {
  for (int i = 0; i < copies; ++i) launch(i, stream_);
  return {};
}
#endif

int Session::copies(std::int64_t bytes) const {
  if (small()) return 2;
  return static_cast<int>(std::clamp<std::int64_t>(3 * l2_bytes_ / std::max<std::int64_t>(bytes, 1) + 1, 1, 64));
}

void Session::add(Result r) {
  const double ratio = r.timing.seconds > 0 ? r.baseline_seconds / r.timing.seconds : 0;
  std::printf("%-28s %-40s %10.2f us", r.name.c_str(), r.shape.c_str(), r.timing.seconds * 1e6);
  if (r.bytes > 0 && r.timing.seconds > 0) std::printf(" %8.1f GB/s", r.bytes / r.timing.seconds * 1e-9);
  if (r.flops > 0 && r.timing.seconds > 0) std::printf(" %8.1f TFLOP/s", r.flops / r.timing.seconds * 1e-12);
  if (ratio > 0) std::printf("  %.3f x %s", ratio, r.baseline.c_str());
  std::printf("\n");
  std::fflush(stdout);
  results_.push_back(std::move(r));
  keep();
}

void Session::add_memory_bound(Result r) {
  r.baseline = "a copy of as many bytes";
  r.baseline_seconds = r.bytes / copy_rate_;
  add(std::move(r));
}

void Session::group(const std::string& name, const std::function<void()>& cases) {
  if (lost_) return;
  try {
    cases();
    return;
  } catch (const std::exception& e) { errors_.push_back(name + ": " + e.what()); }
  lost_ = !device_usable();
  if (lost_) errors_.back() += "; the device takes no more launches of this process, the rest was not tried";
  std::printf("FAILED %s\n", errors_.back().c_str());
  std::fflush(stdout);
  keep();
}

void Session::keep_in(std::string path) {
  path_ = std::move(path);
  keep();
}

void Session::keep() const {
  if (path_.empty()) return;
  const std::string part = path_ + ".part";
  std::ofstream out(part);
  out << json();
  out.close();
  if (!out || std::rename(part.c_str(), path_.c_str()) != 0) throw std::runtime_error("cannot write " + path_);
}

std::string Session::json() const {
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  std::string out = "{\n\"date\": " + quoted(date) + ",\n\"machine\": " + machine_ +
                    ",\n\"copy_bytes_per_s\": " + number(copy_rate_) + ",\n\"errors\": [";
  for (std::size_t i = 0; i < errors_.size(); ++i) out += (i ? ", " : "") + quoted(errors_[i]);
  out += "],\n\"results\": [";
  for (std::size_t i = 0; i < results_.size(); ++i) {
    const Result& r = results_[i];
    out += std::string(i ? "," : "") + "\n{\"name\": " + quoted(r.name) + ", \"shape\": " + quoted(r.shape) +
           ", \"seconds\": " + number(r.timing.seconds) + ", \"spread_seconds\": " + number(r.timing.spread);
    if (r.bytes > 0) out += ", \"bytes\": " + number(r.bytes);
    if (r.flops > 0) out += ", \"flops\": " + number(r.flops);
    if (!r.baseline.empty()) {
      out += ", \"baseline\": " + quoted(r.baseline) + ", \"baseline_seconds\": " + number(r.baseline_seconds);
    }
    out += "}";
  }
  return out + "\n]\n}\n";
}

DeviceBuffer<Bf16> random_buffer(std::int64_t n, std::uint64_t salt, double width) {
  DeviceBuffer<Bf16> b(static_cast<std::size_t>(n), "random");
  make_weights({weight_key(static_cast<std::uint64_t>(std::time(nullptr)), salt), 0, width}, b.data(), n, nullptr);
  return b;
}

namespace {

struct Group {
  const char* name;
  void (*measure)(Session&);
};
constexpr Group kGroups[] = {{"decode", measure_decode},       {"prefill", measure_prefill},
                             {"products", measure_products},   {"operators", measure_operators},
                             {"quantised", measure_quantised}, {"experts", measure_experts},
                             {"mixed", measure_mixed},         {"tree", measure_tree},
                             {"pages", measure_pages}};

}  // namespace

std::vector<std::string> group_names() {
  std::vector<std::string> names;
  for (const Group& g : kGroups) names.emplace_back(g.name);
  return names;
}

void measure(Session& session, const std::vector<std::string>& groups) {
  const std::vector<std::string> names = group_names();
  for (const std::string& g : groups) {
    if (std::find(names.begin(), names.end(), g) == names.end())
      throw std::invalid_argument("no group \"" + g + "\" of cases");
  }
  session.group("copies", [&] { measure_copies(session); });
  for (const Group& g : kGroups) {
    if (groups.empty() || std::find(groups.begin(), groups.end(), g.name) != groups.end())
      session.group(g.name, [&] { g.measure(session); });
  }
}

}  // namespace orrery::ORRERY_GPU
