#include "tests/twin/scenario.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>

namespace orrery {
namespace {

const std::set<std::string> kSlots{"batching", "order", "kv", "predictor", "router", "admission"};

std::int64_t number(std::string_view text) {
  std::int64_t n = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), n);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size())
    throw std::invalid_argument("expected a whole number, got " + std::string(text));
  return n;
}

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

std::pair<std::string, std::string> key_value(const std::string& word) {
  const auto at = word.find('=');
  if (at == std::string::npos) throw std::invalid_argument("expected key=value, got " + word);
  return {word.substr(0, at), word.substr(at + 1)};
}

struct Unit { std::string_view name; std::int64_t ps; };
constexpr Unit kUnits[] = {
    {"ps", 1}, {"ns", 1'000}, {"us", 1'000'000}, {"ms", 1'000'000'000}, {"s", 1'000'000'000'000}};

CostTerm parse_term(const std::string& text) {
  CostTerm term;
  const auto star = text.find('*');
  term.each = parse_duration(text.substr(0, star));
  if (star == std::string::npos) return term;
  const auto mark = text.find_first_of("/>", star);
  const std::string feature = text.substr(star + 1, mark == std::string::npos ? mark : mark - star - 1);
  const auto at = std::find(kCostFeatures.begin() + 1, kCostFeatures.end(), feature);
  if (at == kCostFeatures.end()) throw std::invalid_argument("unknown cost feature " + feature);
  term.feature = static_cast<int>(at - kCostFeatures.begin());
  if (mark != std::string::npos) (text[mark] == '/' ? term.per : term.above) = number(text.substr(mark + 1));
  return term;
}

void parse_engine(Scenario& s, const std::string& line) {
  const auto cost = line.find("cost:");
  if (cost == std::string::npos) throw std::invalid_argument("engine needs `cost:`");
  for (const std::string& word : words(line.substr(cost + 5)))
    if (word != "+") s.cost.terms.push_back(parse_term(word));
  for (const std::string& word : words(line.substr(0, cost))) {
    const auto [key, value] = key_value(word);
    if (kSlots.count(key)) s.policies[key] = value;
    else if (key == "stations") s.stations = static_cast<int>(number(value));
    else if (key == "stages") s.cost.stages = static_cast<int>(number(value));
    else if (key == "hop") s.cost.hop = parse_duration(value);
    else if (key == "skew") s.cost.skew = parse_duration(value);
    else if (key == "kv_blocks") s.engine.kv_blocks = Blocks{number(value)};
    else if (key == "block") s.engine.block_tokens = Tokens{number(value)};
    else if (key == "host_prefix") s.engine.host_prefix = Blocks{number(value)};
    else if (key == "host") s.engine.host_tokens = Tokens{number(value)};
    else if (key == "kv_bytes") s.engine.kv_bytes_per_token = Bytes{number(value)};
    else if (key == "seed") s.engine.seed = static_cast<std::uint64_t>(number(value));
    else if (key == "prefix") {
      if (value != "none" && value != "hash" && value != "radix")
        throw std::invalid_argument("prefix is none, hash or radix");
      s.engine.prefix = value == "hash" ? TwinPrefix::kHash : value == "radix" ? TwinPrefix::kRadix : TwinPrefix::kNone;
    } else s.parameters[key] = value;
  }
}

void parse_request(Scenario& s, const std::vector<std::string>& line) {
  if (line.size() < 2) throw std::invalid_argument("a request needs a time and a name");
  RequestSpec r;
  const auto [when, time] = key_value(line[0]);
  const auto plus = time.find('+');
  if (when == "after") r.after = time.substr(0, plus);
  r.at = parse_duration(when == "after" ? (plus == std::string::npos ? "0s" : time.substr(plus + 1)) : time);
  std::int64_t copies = 1;
  Duration every{};
  const auto star = line[1].find('*');
  if (star != std::string::npos) copies = number(line[1].substr(0, star));
  const std::string name = star == std::string::npos ? line[1] : line[1].substr(star + 1);
  Request& q = r.request;
  for (std::size_t i = 2; i < line.size(); ++i) {
    const auto [key, value] = key_value(line[i]);
    if (key == "prefix") {
      const auto colon = value.find(':');
      if (colon == std::string::npos) throw std::invalid_argument("prefix=KEY:TOKENS");
      r.segments.push_back({static_cast<std::uint64_t>(number(value.substr(0, colon))),
                            Tokens32{static_cast<std::int32_t>(number(value.substr(colon + 1)))}});
      continue;
    }
    if (key == "deadline") {
      q.deadline = Time{parse_duration(value)};
      continue;
    }
    if (key == "every") {
      every = parse_duration(value);
      continue;
    }
    if (key == "cancel") {
      q.cancel_after = parse_duration(value);
      continue;
    }
    const std::int64_t n = number(value);
    if (key == "prompt") q.prompt_tokens = Tokens32{static_cast<std::int32_t>(n)};
    else if (key == "out") q.output_tokens = Tokens32{static_cast<std::int32_t>(n)};
    else if (key == "max") q.max_tokens = Tokens32{static_cast<std::int32_t>(n)};
    else if (key == "okey") q.output_key = static_cast<std::uint64_t>(n);
    else if (key == "session") q.session = static_cast<std::uint32_t>(n);
    else if (key == "prio") q.priority = static_cast<std::int16_t>(n);
    else if (key == "tenant") q.tenant = static_cast<std::uint16_t>(n);
    else if (key == "model") q.model = static_cast<std::uint16_t>(n);
    else if (key == "class") q.request_class = static_cast<std::uint16_t>(n);
    else throw std::invalid_argument("unknown key " + key);
  }
  q.max_tokens = std::max(q.max_tokens, q.output_tokens);
  for (std::int64_t i = 0; i < copies; ++i) {
    r.name = star == std::string::npos ? name : name + std::to_string(i);
    s.requests.push_back(r);
    r.at += every;
  }
}

void parse_class(Scenario& s, const std::vector<std::string>& line) {
  if (line.size() < 2) throw std::invalid_argument("a class needs a number");
  const auto index = static_cast<std::size_t>(number(line[1]));
  if (index > 1000) throw std::invalid_argument("expected a class below 1000, got " + line[1]);
  s.engine.clients.resize(std::max(s.engine.clients.size(), index + 1));
  s.engine.classes.resize(s.engine.clients.size());
  s.engine.qoe.resize(s.engine.clients.size());
  QoeRule& qoe = s.engine.qoe[index];
  ClientRule& client = s.engine.clients[index];
  ServiceClass& service = s.engine.classes[index];
  for (std::size_t i = 2; i < line.size(); ++i) {
    const auto [key, value] = key_value(line[i]);
    if (key == "timeout") client.timeout = parse_duration(value);
    else if (key == "retries") client.retries = static_cast<int>(number(value));
    else if (key == "backoff") client.backoff = parse_duration(value);
    else if (key == "weight") service.weight = std::stod(value);
    else if (key == "ttft") service.ttft = qoe.ttft = parse_duration(value);
    else if (key == "tpot") service.tpot = qoe.tpot = parse_duration(value);
    else if (key == "formula") qoe.first_formula = value == "v1";
    else throw std::invalid_argument("unknown key " + key);
  }
}

std::string class_text(const Scenario& s) {
  std::ostringstream out;
  for (std::size_t i = 0; i < s.engine.clients.size(); ++i) {
    const ClientRule& c = s.engine.clients[i];
    const ServiceClass& k = s.engine.classes[i];
    out << "class " << i;
    if (c.timeout != Duration::max()) out << " timeout=" << duration_text(c.timeout);
    if (c.retries > 0) out << " retries=" << c.retries << " backoff=" << duration_text(c.backoff);
    if (k.weight != 1) out << " weight=" << k.weight;
    if (k.tpot > Duration{}) out << " ttft=" << duration_text(k.ttft) << " tpot=" << duration_text(k.tpot);
    if (s.engine.qoe[i].first_formula) out << " formula=v1";
    out << "\n";
  }
  return out.str();
}

/// Every class of a request has its rules.
void cover_classes(Scenario& s) {
  if (s.engine.clients.empty()) return;
  for (const RequestSpec& r : s.requests)
    s.engine.clients.resize(std::max<std::size_t>(s.engine.clients.size(), r.request.request_class + std::size_t{1}));
  s.engine.classes.resize(s.engine.clients.size());
  s.engine.qoe.resize(s.engine.clients.size());
}

std::string slot_text(const Scenario& s) {
  std::string text;
  for (const auto& [key, value] : s.policies) text += " " + key + "=" + value;
  for (const auto& [key, value] : s.parameters) text += " " + key + "=" + value;
  return text;
}

}  // namespace

Duration parse_duration(std::string_view text) {
  const auto unit_at = text.find_first_not_of("0123456789.-");
  for (const Unit& unit : kUnits) {
    if (unit_at == std::string_view::npos || text.substr(unit_at) != unit.name) continue;
    const std::string_view digits = text.substr(0, unit_at);
    const auto point = digits.find('.');
    std::int64_t ps = number(digits.substr(0, point)) * unit.ps, place = unit.ps;
    if (point != std::string_view::npos)
      for (char c : digits.substr(point + 1)) ps += (c - '0') * (place /= 10);
    return Duration{ps};
  }
  throw std::invalid_argument("expected a time such as 10ms, got " + std::string(text));
}

std::string duration_text(Duration d) {
  const Unit* unit = kUnits;
  for (const Unit& u : kUnits)
    if (d.count() % u.ps == 0) unit = &u;
  return d.count() == 0 ? "0s" : std::to_string(d.count() / unit->ps) + std::string(unit->name);
}

StepRun ScenarioCost::price(std::span<const StepShape> members, int stage) const {
  const StepShape& s = members[0];
  const std::int64_t decodes = s.decodes.value(), context = s.decode_context.value();
  const std::int64_t features[] = {1, decodes + s.prefill.value(), s.prefill.value(), decodes, context,
                                   s.max_context.value(), s.prefill_pairs, s.sequences, s.outputs,
                                   s.host_in.value(), s.host_out.value()};
  StepRun run;
  run.valid = s.chunks.empty() && s.prefill == Tokens{} ? std::int64_t{1} << 40 : 1;
  run.first = stage * spec_.skew;
  for (const CostTerm& term : spec_.terms) {
    const std::int64_t f = features[term.feature];
    const std::string_view name = kCostFeatures[term.feature];
    const std::int64_t growth = name == "context" ? decodes : name == "longest";
    if (term.per > 1) {
      run.first += term.each * (f / term.per);
      if (growth > 0) run.valid = std::min(run.valid, ceil_div(term.per * (f / term.per + 1) - f, growth));
    } else if (f > term.above) {
      run.first += term.each * (f - term.above);
      run.step += term.each * growth;
    } else if (growth > 0) {
      run.valid = std::min(run.valid, (term.above - f) / growth + 1);
    }
  }
  run.e_first = Energy{11 + 5 * features[1] + 2 * context};
  run.e_step = Energy{2 * decodes};
  return run;
}

std::vector<Scenario> parse_scenarios(const std::string& text, const std::string& name) {
  std::vector<Scenario> all;
  std::istringstream in(text);
  std::string line, title;
  for (int n = 1; std::getline(in, line); ++n) try {
      const auto w = words(line);
      if (w.empty()) continue;
      if (w[0][0] == '#') {
        const auto text_at = std::min(line.size(), line.find_first_not_of("# "));
        if (all.empty() || !all.back().requests.empty()) title = line.substr(text_at);
        continue;
      }
      if (w[0] == "engine") {
        all.emplace_back().title = title;
        parse_engine(all.back(), line.substr(line.find("engine") + 6));
        continue;
      }
      if (all.empty()) throw std::invalid_argument("a scenario starts with `engine`");
      if (w[0] == "class") {
        parse_class(all.back(), w);
        continue;
      }
      if (w[0] != "expect") {
        parse_request(all.back(), w);
        continue;
      }
      for (std::size_t i = 1; i < w.size(); ++i) {
        const auto [what, value] = key_value(w[i]);
        all.back().expectations.push_back({what, value, name + ":" + std::to_string(n)});
      }
    } catch (const std::invalid_argument& e) {
      throw std::invalid_argument(name + ":" + std::to_string(n) + ": " + e.what());
    }
  for (Scenario& s : all) cover_classes(s);
  return all;
}

std::vector<Scenario> read_scenarios(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::invalid_argument(path + ": cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_scenarios(text.str(), path);
}

std::string to_text(const Scenario& s) {
  std::ostringstream out;
  constexpr std::string_view prefixes[] = {"none", "hash", "radix"};
  out << "# " << s.title << "\nengine" << slot_text(s) << " stations=" << s.stations << " stages=" << s.cost.stages
      << " hop=" << duration_text(s.cost.hop) << " skew=" << duration_text(s.cost.skew)
      << " kv_blocks=" << s.engine.kv_blocks.value() << " block=" << s.engine.block_tokens.value()
      << " host=" << s.engine.host_tokens.value() << " kv_bytes=" << s.engine.kv_bytes_per_token.value()
      << " prefix=" << prefixes[static_cast<int>(s.engine.prefix)];
  if (s.engine.host_prefix > Blocks{}) out << " host_prefix=" << s.engine.host_prefix.value();
  out << " seed=" << s.engine.seed << " cost:";
  for (const CostTerm& t : s.cost.terms) {
    out << " " << (&t == s.cost.terms.data() ? "" : "+ ") << duration_text(t.each);
    if (t.feature > 0) out << "*" << kCostFeatures[t.feature];
    if (t.per > 1) out << "/" << t.per;
    if (t.above > 0) out << ">" << t.above;
  }
  out << "\n" << class_text(s);
  for (const RequestSpec& r : s.requests) {
    const Request& q = r.request;
    if (r.after.empty()) out << "t=" << duration_text(r.at);
    else out << "after=" << r.after << "+" << duration_text(r.at);
    out << " " << r.name << " prompt=" << q.prompt_tokens.value() << " out=" << q.output_tokens.value()
        << " max=" << q.max_tokens.value();
    for (const Segment& g : r.segments) out << " prefix=" << g.key << ":" << g.tokens.value();
    if (q.output_key) out << " okey=" << q.output_key;
    if (q.session) out << " session=" << q.session;
    if (q.priority) out << " prio=" << q.priority;
    if (q.tenant) out << " tenant=" << q.tenant;
    if (q.model) out << " model=" << q.model;
    if (q.request_class) out << " class=" << q.request_class;
    if (q.cancel_after != Duration::max()) out << " cancel=" << duration_text(q.cancel_after);
    if (q.deadline != kNever) out << " deadline=" << duration_text(q.deadline.time_since_epoch());
    out << "\n";
  }
  return out.str();
}

ScenarioSource::ScenarioSource(const Scenario& scenario) : scenario_(scenario) {
  for (const RequestSpec& r : scenario.requests) arrival_.push_back(r.after.empty() ? Time{r.at} : kNever);
}

Time ScenarioSource::peek() const {
  return arrival_.empty() ? kNever : *std::min_element(arrival_.begin(), arrival_.end());
}

void ScenarioSource::pop(Request& out) {
  const auto first = std::min_element(arrival_.begin(), arrival_.end());   // equal instants: in the order of the lines
  const auto line = static_cast<std::size_t>(first - arrival_.begin());
  out = scenario_.requests[line].request;
  out.segments = scenario_.requests[line].segments;
  out.arrival = *first;
  out.number = line_of_.size();
  line_of_.push_back(line);
  *first = kNever;
}

void ScenarioSource::on_done(const Request& request, Time now) {
  const std::string& name = scenario_.requests[line_of_.at(request.number)].name;
  for (std::size_t i = 0; i < arrival_.size(); ++i)
    if (scenario_.requests[i].after == name) arrival_[i] = now + scenario_.requests[i].at;
}

}  // namespace orrery
