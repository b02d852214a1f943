#include "sim/metrics/rows_csv.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace orrery {
namespace {

static_assert(std::endian::native == std::endian::little, "digits are put together in a word, the first one lowest");

/// Eight digits of v < 10^8 in a word: split in halves of four, two and one side by side, each by a multiplication.
constexpr std::uint64_t eight_digits(std::uint64_t v) {
  const std::uint64_t halves = v / 10000 | v % 10000 << 32;
  const std::uint64_t top = halves * 10486 >> 20 & 0x7f'0000'007full;            // x / 100 for x < 10^4
  const std::uint64_t pairs = (halves - 100 * top) << 16 | top;
  const std::uint64_t tens = pairs * 103 >> 10 & 0xf'000f'000f'000full;          // x / 10 for x < 100
  return (tens | (pairs - 10 * tens) << 8) + 0x3030303030303030ull;
}
static_assert(eight_digits(12345678) == 0x3837363534333231ull && eight_digits(99999999) == 0x3939393939393939ull);

/// A field as CSV wants it (RFC 4180).
std::string quoted(const std::string& s) {
  if (s.find_first_of(",\"\r\n") == std::string::npos) return s;
  std::string out = "\"";
  for (const char c : s) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

/// Nearest rank, as histogram.hpp.
std::int64_t percentile(std::vector<std::int64_t>& values, std::size_t percent) {
  const std::size_t rank = std::max<std::size_t>(1, (values.size() * percent + 99) / 100);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

CsvFile::CsvFile(const std::string& path)
    : path_(path), file_(std::fopen(path.c_str(), "wb")), buffer_(new char[kSize]), at_(buffer_.get()) {
  if (!file_) throw std::runtime_error(path + ": cannot be written: " + std::strerror(errno));
}

CsvFile::~CsvFile() {
  if (!file_) return;
  flush();
  std::fclose(file_);
}

void CsvFile::close() {
  if (!file_) return;
  flush();
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  if (failed_ || !closed) throw std::runtime_error(path_ + ": not written completely: " + std::strerror(errno));
}

void CsvFile::flush() {
  const auto size = static_cast<std::size_t>(at_ - buffer_.get());
  if (size > 0 && std::fwrite(buffer_.get(), 1, size, file_) != size) failed_ = true;
  at_ = buffer_.get();
}

void CsvFile::text(std::string_view s) {
  const auto size = static_cast<std::ptrdiff_t>(s.size());
  if (buffer_.get() + kSize - kLine / 2 - at_ < size) {  // a long name
    flush();
    if (size > kSize / 2) {
      if (std::fwrite(s.data(), 1, s.size(), file_) != s.size()) failed_ = true;
      return;
    }
  }
  std::memcpy(at_, s.data(), s.size());
  at_ += size;
}

void CsvFile::number(std::int64_t v) {
  if (v >= 0 && v < 10) *at_++ = static_cast<char>('0' + v);   // most fields of most rows
  else at_ = std::to_chars(at_, at_ + 24, v).ptr;
}

void CsvFile::seconds(std::int64_t ps) {
  if (ps < 0) {
    *at_++ = '-';
    ps = -ps;
  }
  number(ps / kWindow);
  auto rest = static_cast<std::uint64_t>(ps % kWindow);
  if (rest == 0) return;
  *at_++ = '.';
  const auto first = static_cast<std::uint32_t>(eight_digits(rest / 100'000'000) >> 32);   // behind four zeros
  const std::uint64_t last = eight_digits(rest % 100'000'000);
  std::memcpy(at_, &first, 4);
  std::memcpy(at_ + 4, &last, 8);
  char* end = at_ + 12;
  while (end[-1] == '0') --end;
  at_ = end;
}

void CsvFile::decimal(double v) {
  if (v < 0) {
    *at_++ = '-';
    v = -v;
  }
  if (v >= 9e9) return number(static_cast<std::int64_t>(v));
  const auto nanos = static_cast<std::int64_t>(v * 1e9 + 0.5);
  number(nanos / 1'000'000'000);
  std::int64_t rest = nanos % 1'000'000'000;
  if (rest == 0) return;
  *at_++ = '.';
  for (std::int64_t unit = 100'000'000; rest > 0; rest %= unit, unit /= 10)
    *at_++ = static_cast<char>('0' + rest / unit);
}

void CsvFile::precise(double v) { at_ = std::to_chars(at_, at_ + 32, v, std::chars_format::general, 9).ptr; }

RequestsCsv::RequestsCsv(const std::string& path, CsvNames names) : file_(path), names_(std::move(names)) {
  for (auto* list : {&names_.tenants, &names_.classes, &names_.models})
    for (std::string& s : *list) s = quoted(s);
  names_.pool = quoted(names_.pool);
  for (std::string& s : names_.pool_of) s = quoted(s);
  file_.text(
      "id,arrival_s,tenant,class,model,session,prompt_tokens,cached_tokens,output_tokens,queue_s,ttft_s,tpot_s,e2e_s,"
      "finish_s,pool,replica,decode_replica,decode_queue_s,transfer_s,load_s,migrations,preemptions,retries,qoe,"
      "status,joules,usd,grams");
  file_.end();
}

void RequestsCsv::name_of(const std::vector<std::string>& names, std::uint16_t index) {
  if (index < names.size()) file_.text(names[index]); else file_.number(index);
  file_.comma();
}

void RequestsCsv::row(const Row& r) {
  auto count = [&](std::int64_t v) { file_.number(v), file_.comma(); };
  auto seconds = [&](bool there, Duration d) {
    if (there) file_.seconds(to_ps(d));
    file_.comma();
  };
  const bool scheduled = r.first_schedule != kNever, started = r.first_token != kNever, left = r.finish != kNever;
  count(static_cast<std::int64_t>(r.number));
  seconds(true, r.arrival.time_since_epoch());
  name_of(names_.tenants, r.tenant);
  name_of(names_.classes, r.request_class);
  name_of(names_.models, r.model);
  if (r.session != 0) file_.number(r.session);
  file_.comma();
  count(r.prompt.value());
  count(r.cached.value());
  count(r.output.value());
  seconds(scheduled, scheduled ? r.queue() : Duration{});
  seconds(started, started ? r.ttft() : Duration{});
  const bool paced = started && left && r.output.value() > 1;
  seconds(paced, paced ? r.tpot() : Duration{});
  seconds(left, left ? r.e2e() : Duration{});
  seconds(left, left ? r.finish.time_since_epoch() : Duration{});
  const auto station = static_cast<std::size_t>(std::max(0, r.station.index));
  file_.text(station < names_.pool_of.size() ? names_.pool_of[station] : names_.pool);
  file_.comma();
  if (r.station.valid()) file_.number(r.station.index);
  file_.comma();
  const bool came = r.decode_station.valid();
  if (came) file_.number(r.decode_station.index);
  file_.comma();
  seconds(came, r.decode_queue);
  seconds(came, r.transfer);
  seconds(r.load > Duration{}, r.load);
  count(r.migrations);
  count(r.preemptions);
  count(r.retries);
  if (r.qoe >= 0) file_.decimal(r.qoe);
  file_.comma();
  file_.text(name(r.status));
  file_.comma();
  if (names_.joules) file_.precise(r.spent.joules());
  file_.comma();
  if (names_.usd) file_.precise(r.spent.usd());
  file_.comma();
  if (names_.grams) file_.precise(r.spent.grams());
  file_.end();
}

TimelineCsv::TimelineCsv(const std::string& path, Config config) : file_(path), config_(config) {
  file_.text(
      "t_s,arrivals,queued,running,kv_used_fraction,prompt_tokens_per_s,output_tokens_per_s,ttft_p50,ttft_p99,power_w,"
      "replicas,usd");
  file_.end();
}

void TimelineCsv::window(Window& w) {
  constexpr double second = static_cast<double>(kWindow);
  auto count = [&](std::int64_t v) { file_.number(v), file_.comma(); };
  auto average = [&](double v) { file_.decimal(v), file_.comma(); };
  const double busy = static_cast<double>(w.busy) / second / config_.stages;
  const double idle_w = static_cast<double>(config_.idle_milliwatts) * 1e-3;
  count(w.index);
  count(w.arrivals);
  average(static_cast<double>(w.queued) / second);
  average(static_cast<double>(w.running) / second);
  average(config_.blocks > 0 ? static_cast<double>(w.held) / second / static_cast<double>(config_.blocks) : 0);
  count(w.prompt_tokens);
  count(w.output_tokens);
  for (const std::size_t p : {std::size_t{50}, std::size_t{99}}) {
    if (!w.ttft.empty()) file_.seconds(percentile(w.ttft, p));
    file_.comma();
  }
  const double there = config_.replicas - static_cast<double>(w.away) / second;
  average(static_cast<double>(w.energy) * 1e-9 + (there - busy) * idle_w);
  if (w.away == 0) count(config_.replicas);
  else average(there);
  file_.decimal((config_.usd_per_hour - static_cast<double>(w.saved) / second * 1e-9) / 3600);
  file_.end();
}

}  // namespace orrery
