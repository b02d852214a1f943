#include "experiments/output.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBuffer = std::size_t{1} << 18;

bool replaceable(const fs::path& folder) {
  std::error_code e;
  if (!fs::is_directory(folder, e)) return false;
  return fs::is_empty(folder, e) || fs::exists(folder / "summary.json", e) || fs::exists(folder / "config.json", e);
}

}  // namespace

OutputFolder::OutputFolder(std::string path, bool force) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  if (path_.empty()) throw ConfigError("--out: expected the name of a folder");
  std::error_code e;
  if (fs::exists(path_, e)) {
    if (!force) throw ConfigError("--out " + path_ + ": exists already; --force replaces it");
    if (!replaceable(path_)) {
      throw ConfigError("--out " + path_ + ": is not an earlier output (no summary.json in it); --force does not replace it");
    }
  }
  temporary_ = path_ + ".partial-" + std::to_string(::getpid());
  fs::create_directories(temporary_, e);
  if (e) throw ConfigError("--out " + path_ + ": cannot make this folder: " + e.message());
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void OutputFolder::write(std::string_view name, std::string_view text) const {
  std::FILE* f = std::fopen(file(name).c_str(), "wb");
  const bool written = f != nullptr && std::fwrite(text.data(), 1, text.size(), f) == text.size();
  const bool closed = f != nullptr && std::fclose(f) == 0;
  if (!written || !closed) throw ConfigError(file(name) + ": cannot write: " + std::strerror(errno));
}

void OutputFolder::commit() {
  std::error_code e;
  const std::string old = path_ + ".old-" + std::to_string(::getpid());
  const bool replace = fs::exists(path_, e);
  if (replace) fs::rename(path_, old, e);
  if (!e) fs::rename(temporary_, path_, e);
  if (e) throw ConfigError("--out " + path_ + ": cannot put the results there: " + e.message() + "; they are in " + temporary_);
  committed_ = true;
  if (replace) fs::remove_all(old, e);
}

LineFile::LineFile(const std::string& path, std::string_view header)
    : path_(path), file_(std::fopen(path.c_str(), "wb")), buffer_(kBuffer) {
  if (file_ == nullptr) throw ConfigError(path + ": cannot write: " + std::strerror(errno));
  std::memcpy(buffer_.data(), header.data(), header.size());
  used_ = header.size();
  buffer_[used_++] = '\n';
}

LineFile::~LineFile() {
  if (file_ != nullptr) std::fclose(file_);
}

void LineFile::reserve(std::size_t bytes) {
  if (used_ + bytes <= buffer_.size()) return;
  failed_ |= std::fwrite(buffer_.data(), 1, used_, file_) != used_;
  used_ = 0;
  if (bytes > buffer_.size()) buffer_.resize(bytes);
}

void LineFile::separate() {
  reserve(64);
  if (!first_) buffer_[used_++] = ',';
  first_ = false;
}

LineFile& LineFile::none() {
  separate();
  return *this;
}

LineFile& LineFile::text(std::string_view s) {
  separate();
  reserve(2 * s.size() + 2);
  if (s.find_first_of(",\"\n\r") == std::string_view::npos) {
    std::memcpy(buffer_.data() + used_, s.data(), s.size());
    used_ += s.size();
    return *this;
  }
  buffer_[used_++] = '"';
  for (const char c : s) {
    if (c == '"') buffer_[used_++] = '"';
    buffer_[used_++] = c;
  }
  buffer_[used_++] = '"';
  return *this;
}

LineFile& LineFile::number(std::int64_t n) {
  separate();
  char* const at = buffer_.data() + used_;
  used_ += static_cast<std::size_t>(std::to_chars(at, at + 24, n).ptr - at);
  return *this;
}

LineFile& LineFile::seconds(std::int64_t ps) {
  separate();
  char* at = buffer_.data() + used_;
  if (ps < 0) {
    *at++ = '-';
    ps = -ps;
  }
  at = std::to_chars(at, at + 24, ps / 1'000'000'000'000).ptr;
  *at++ = '.';
  std::int64_t ns = ps % 1'000'000'000'000 / 1000;
  for (int i = 8; i >= 0; --i, ns /= 10) at[i] = static_cast<char>('0' + ns % 10);
  used_ = static_cast<std::size_t>(at + 9 - buffer_.data());
  return *this;
}

LineFile& LineFile::real(double d) {
  separate();
  char* const at = buffer_.data() + used_;
  used_ += static_cast<std::size_t>(std::to_chars(at, at + 32, d).ptr - at);
  return *this;
}

void LineFile::end_line() {
  reserve(1);
  buffer_[used_++] = '\n';
  first_ = true;
}

void LineFile::close() {
  failed_ |= std::fwrite(buffer_.data(), 1, used_, file_) != used_;
  failed_ |= std::fclose(file_) != 0;
  file_ = nullptr;
  if (failed_) throw ConfigError(path_ + ": cannot write: " + std::strerror(errno));
}

RequestsCsv::RequestsCsv(const std::string& path, RowNames names)
    : file_(path,
            "id,arrival_s,tenant,class,model,session,prompt_tokens,cached_tokens,output_tokens,queue_s,ttft_s,tpot_s,e2e_s,"
            "finish_s,pool,replica,decode_replica,decode_queue_s,transfer_s,load_s,migrations,preemptions,retries,qoe,status"),
      names_(std::move(names)) {}

void RequestsCsv::row(const Row& r) {
  const auto name_of = [](const std::vector<std::string>& names, std::size_t i) -> std::string_view {
    return i < names.size() ? std::string_view(names[i]) : std::string_view();
  };
  const auto seconds = [&](bool known, Duration d) { known ? file_.seconds(to_ps(d)) : file_.none(); };
  const bool scheduled = r.first_schedule != kNever, started = r.first_token != kNever, left = r.finish != kNever;
  file_.number(static_cast<std::int64_t>(r.number)).seconds(to_ps(r.arrival));
  file_.text(name_of(names_.tenants, r.tenant)).text(name_of(names_.classes, r.request_class)).text(names_.model);
  r.session == 0 ? file_.none() : file_.number(r.session);
  file_.number(r.prompt.value()).number(r.cached.value()).number(r.output.value());
  seconds(scheduled, scheduled ? r.queue() : Duration{});
  seconds(started, started ? r.ttft() : Duration{});
  const bool paced = r.status == Status::kDone && r.output.value() > 1;
  seconds(paced, paced ? r.tpot() : Duration{});
  seconds(r.status == Status::kDone, left ? r.e2e() : Duration{});
  seconds(left, left ? r.finish - Time{} : Duration{});
  file_.text(names_.pool);
  scheduled && r.station.valid() ? file_.number(r.station.index) : file_.none();
  file_.none().none().none().none();                       // decode_replica, decode_queue_s, transfer_s, load_s
  file_.number(0).number(r.preemptions).number(0).none();  // migrations, preemptions, retries, qoe
  file_.text(name(r.status));
  file_.end_line();
}

TimelineCsv::TimelineCsv(const std::string& path, TimelineScale scale)
    : file_(path,
            "t_s,arrivals,queued,running,kv_used_fraction,prompt_tokens_per_s,output_tokens_per_s,ttft_p50,ttft_p99,power_w,"
            "replicas,usd"),
      scale_(scale) {}

void TimelineCsv::window(Window& w) {
  const auto mean = [](Wide integral) { return static_cast<double>(integral) / static_cast<double>(kWindow); };
  std::sort(w.ttft.begin(), w.ttft.end());
  const auto percentile = [&](double p) {  // nearest rank
    if (w.ttft.empty()) {
      file_.none();
      return;
    }
    const auto n = static_cast<double>(w.ttft.size());
    const auto rank = static_cast<std::size_t>(std::max(1.0, std::ceil(p * n)));
    file_.seconds(w.ttft[std::min(rank, w.ttft.size()) - 1]);
  };
  const double busy = static_cast<double>(w.busy) / static_cast<double>(kWindow);
  const double watts = static_cast<double>(w.energy) * 1e-9 + std::max(0.0, scale_.stations - busy) * scale_.idle_watts;
  const double blocks = static_cast<double>(scale_.blocks) * scale_.stations;
  file_.number(w.index).number(w.arrivals).real(mean(w.queued)).real(mean(w.running));
  file_.real(blocks > 0 ? mean(w.held) / blocks : 0).number(w.prompt_tokens).number(w.output_tokens);
  percentile(0.50);
  percentile(0.99);
  file_.real(watts).number(scale_.stations).real(scale_.usd_per_hour / 3600);
  file_.end_line();
}

void write_actions_csv(const OutputFolder& out) {
  out.write("actions.csv", "t_s,controller,action,pool,replica,request,value,estimate_s\n");
}

}  // namespace orrery
