#include "traces/workload/parts.hpp"

#include <algorithm>
#include <utility>

namespace orrery {
namespace {

constexpr double kMaxRate = 1e9;

const std::vector<EnumName>& process_names() {
  static const std::vector<EnumName> kNames{{"constant", 0}, {"poisson", 1}, {"gamma", 2},   {"onoff", 3},
                                            {"profile", 4},  {"closed", 5},  {"sinusoid", 6}};
  return kNames;
}

/// Keys that belong to other processes are told apart from unknown ones.
void refuse_foreign_keys(ObjectReader& in, ArrivalKind process, std::string_view name) {
  struct Owner { const char* key; std::vector<ArrivalKind> processes; };
  static const std::vector<Owner> kOwners{{"rate",
                                           {ArrivalKind::kConstant, ArrivalKind::kPoisson, ArrivalKind::kGamma,
                                            ArrivalKind::kOnOff, ArrivalKind::kSinusoid}},
                                          {"cv", {ArrivalKind::kGamma}},
                                          {"on", {ArrivalKind::kOnOff}},
                                          {"off", {ArrivalKind::kOnOff}},
                                          {"profile", {ArrivalKind::kProfile}},
                                          {"users", {ArrivalKind::kClosed}},
                                          {"think", {ArrivalKind::kClosed}},
                                          {"amplitude", {ArrivalKind::kSinusoid}},
                                          {"period", {ArrivalKind::kSinusoid}}};
  for (const Owner& owner : kOwners) {
    const bool wanted = std::find(owner.processes.begin(), owner.processes.end(), process) != owner.processes.end();
    if (!wanted && in.take(owner.key) != nullptr)
      in.error(owner.key, "has no meaning for process \"" + std::string(name) + "\"");
  }
}

}  // namespace

std::unique_ptr<ArrivalProcess> ArrivalChoice::make(std::uint64_t seed) const {
  switch (process) {
    case ArrivalKind::kConstant: return make_constant(rate);
    case ArrivalKind::kPoisson: return make_poisson(rate, seed);
    case ArrivalKind::kGamma: return make_gamma(rate, cv, seed);
    case ArrivalKind::kOnOff: return make_onoff(rate, *on, *off, seed);
    case ArrivalKind::kProfile: return make_profile(profile, seed);
    case ArrivalKind::kSinusoid: return make_sinusoid(rate, amplitude, to_seconds(period), seed);
    case ArrivalKind::kClosed: break;
  }
  return nullptr;
}

std::optional<ArrivalChoice> read_arrival(WorkloadContext& c, const Value& v,
                                          const std::optional<WorkloadModel>& fitted) {
  ArrivalChoice a;
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return std::nullopt;
  const std::size_t before = c.errors.lines().size();
  int process = static_cast<int>(ArrivalKind::kPoisson);
  if (in.choice("process", process, process_names())) a.process = static_cast<ArrivalKind>(process);
  const std::string name(process_names()[static_cast<std::size_t>(process)].name);
  const bool rated = a.rated();
  if (rated && !in.number("rate", a.rate, {1e-6, kMaxRate}, Dimension::kPerSecond) && !in.has("rate")) {
    if (fitted && fitted->rate > 0) a.rate = fitted->rate;
    else in.error("rate", "missing key");
  }
  a.label = name + (rated ? " " + number_text(a.rate) + "/s" : "");
  if (a.process == ArrivalKind::kGamma) {
    a.cv = fitted ? fitted->cv : 0;
    if (!in.number("cv", a.cv, {0.01, 100}) && !in.has("cv") && a.cv == 0) in.error("cv", "missing key");
    a.label += " cv " + number_text(a.cv);
  } else if (a.process == ArrivalKind::kOnOff) {
    for (const char* key : {"on", "off"}) in.require(key);
    a.on = c.waits(in, "on");
    a.off = c.waits(in, "off");
    if (a.on && !(a.on->mean() > 0)) in.error("on", "must be longer than 0");
  } else if (a.process == ArrivalKind::kProfile) {
    std::string file;
    in.require("profile");
    if (in.string("profile", file)) {
      if (const auto path = c.file(in, "profile", file)) {
        try {
          a.profile = read_profile(*path);
          c.info.inputs.push_back({*path, "profile", static_cast<std::int64_t>(a.profile.size()), 0});
          double area = 0;
          for (std::size_t i = 0; i + 1 < a.profile.size(); ++i)
            area += a.profile[i].rate * (a.profile[i + 1].start_s - a.profile[i].start_s);
          a.rate = a.profile.size() > 1 && area > 0 ? area / a.profile.back().start_s : a.profile.back().rate;
        } catch (const ConfigError& e) {
          c.errors.add(e);
        }
      }
    }
    a.label += " " + file;
  } else if (a.process == ArrivalKind::kSinusoid) {
    in.number("amplitude", a.amplitude, {0, 1});
    in.duration("period", a.period, {1, 9e6});
    a.label += " by a sinusoid of " + number_text(to_seconds(a.period)) + " s";
  } else if (a.process == ArrivalKind::kClosed) {
    in.require("users");
    in.integer("users", a.users, {1, 1'000'000});
    a.think = c.waits(in, "think");
    if (!a.think) a.think = Distribution::constant(0);
    a.label = std::to_string(a.users) + " users";
  }
  c.info.steady = a.process != ArrivalKind::kProfile && a.process != ArrivalKind::kSinusoid;
  refuse_foreign_keys(in, a.process, name);
  in.finish();
  return c.errors.lines().size() == before ? std::optional(std::move(a)) : std::nullopt;
}

Value resolved(const ArrivalChoice& a) {
  Value v = Value::object();
  v["process"] = std::string(process_names()[static_cast<std::size_t>(a.process)].name);
  if (a.rated()) v["rate"] = a.rate;
  if (a.process == ArrivalKind::kSinusoid) {
    v["amplitude"] = a.amplitude;
    v["period"] = to_seconds(a.period);
  }
  if (a.process == ArrivalKind::kGamma) v["cv"] = a.cv;
  if (a.process == ArrivalKind::kClosed) {
    v["users"] = a.users;
    v["think"] = a.think->text().empty() ? Value(0) : Value(a.think->text());
  }
  return v;
}

}  // namespace orrery
