#include "experiments/paper_expression.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "sim/config/names.hpp"
#include "sim/config/value.hpp"

namespace orrery {

struct PaperExpression::Node {
  enum class Kind {
    kNumber,
    kValue,
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kMin,
    kMax,
    kMaxRate,
    kMaxCount
  } kind = Kind::kNumber;
  double number = 0;
  std::string config;
  std::vector<std::string> sets;
  std::vector<std::string> pointers;                    ///< kValue: one; searches: the left side of each limit
  std::vector<std::shared_ptr<const Node>> operands;    ///< searches: the right side of each limit
  std::vector<bool> at_least;                           ///< searches: is the limit a lower one?

  double evaluate(PaperRuns& runs) const;
};

namespace {

using Node = PaperExpression::Node;
using NodePtr = std::shared_ptr<const Node>;

class Parser {
 public:
  Parser(std::string_view text, const std::vector<std::string>& configs) : text_(text), configs_(configs) {}

  NodePtr all() {
    NodePtr root = sum();
    blanks();
    if (at_ < text_.size()) fail("expected an operator or the end");
    return root;
  }

  std::vector<std::string> used;
  bool searches = false, counts = false;

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError("column " + std::to_string(at_ + 1) + ": " + message);
  }
  void blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(std::string_view token) {
    blanks();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail("expected \"" + std::string(token) + "\"");
  }

  static NodePtr binary(Node::Kind kind, NodePtr a, NodePtr b) {
    auto n = std::make_shared<Node>();
    n->kind = kind;
    n->operands = {std::move(a), std::move(b)};
    return n;
  }

  NodePtr sum() {
    NodePtr left = product();
    for (;;) {
      if (take("+")) left = binary(Node::Kind::kAdd, left, product());
      else if (take("-")) left = binary(Node::Kind::kSubtract, left, product());
      else return left;
    }
  }

  NodePtr product() {
    NodePtr left = factor();
    for (;;) {
      if (take("*")) left = binary(Node::Kind::kMultiply, left, factor());
      else if (take("/")) left = binary(Node::Kind::kDivide, left, factor());
      else return left;
    }
  }

  NodePtr factor() {
    blanks();
    if (take("(")) {
      NodePtr inside = sum();
      expect(")");
      return inside;
    }
    if (take("-")) return binary(Node::Kind::kSubtract, std::make_shared<Node>(), factor());
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) return number();
    return named();
  }

  NodePtr number() {
    auto n = std::make_shared<Node>();
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(text_.data() + at_, end, n->number);
    if (error != std::errc{}) fail("expected a number");
    at_ = static_cast<std::size_t>(stop - text_.data());
    return n;
  }

  std::string word() {
    blanks();
    const std::size_t start = at_;
    const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; };
    while (at_ < text_.size() && in_word(text_[at_])) ++at_;
    if (at_ == start) fail("expected a number, a config or a function");
    return std::string(text_.substr(start, at_ - start));
  }

  NodePtr named() {
    const std::size_t start = at_;
    const std::string name = word();
    if (take("(")) {
      if (name == "max_rate") return search(Node::Kind::kMaxRate);
      if (name == "max_count") return search(Node::Kind::kMaxCount);
      if (name == "min" || name == "max") return extreme(name == "min" ? Node::Kind::kMin : Node::Kind::kMax);
      at_ = start;
      fail(unknown_name("function", name, {"min", "max", "max_rate", "max_count"}));
    }
    auto n = std::make_shared<Node>();
    n->kind = Node::Kind::kValue;
    take_config(*n, name, start);
    expect(":");
    n->pointers = {pointer()};
    return n;
  }

  void take_config(Node& n, const std::string& name, std::size_t start) {
    if (std::find(configs_.begin(), configs_.end(), name) == configs_.end()) {
      at_ = start;
      fail(unknown_name("config", name, configs_));
    }
    if (std::find(used.begin(), used.end(), name) == used.end()) used.push_back(name);
    n.config = name;
    if (!take("[")) return;
    const std::size_t close = text_.find(']', at_);
    if (close == std::string_view::npos) fail("expected \"]\" behind the keys that are set");
    for (std::size_t from = at_; from <= close;) {
      const std::size_t to = std::min(text_.find(';', from), close);
      n.sets.emplace_back(text_.substr(from, to - from));
      if (n.sets.back().empty() || n.sets.back()[0] != '/') fail("expected /json/pointer=VALUE in the brackets");
      from = to + 1;
    }
    at_ = close + 1;
  }

  std::string pointer() {
    blanks();
    if (at_ >= text_.size() || text_[at_] != '/') fail("expected a JSON pointer into the summary, like /ttft_s/p99");
    const std::size_t end = std::min(text_.find_first_of(" ,)", at_), text_.size());
    std::string out(text_.substr(at_, end - at_));
    at_ = end;
    return out;
  }

  NodePtr extreme(Node::Kind kind) {
    auto n = std::make_shared<Node>();
    n->kind = kind;
    do n->operands.push_back(sum()); while (take(","));
    expect(")");
    return n;
  }

  NodePtr search(Node::Kind kind) {
    (kind == Node::Kind::kMaxRate ? searches : counts) = true;
    auto n = std::make_shared<Node>();
    n->kind = kind;
    blanks();
    const std::size_t start = at_;
    take_config(*n, word(), start);
    expect(",");
    do {
      n->pointers.push_back(pointer());
      n->at_least.push_back(take(">="));
      if (!n->at_least.back() && !take("<=")) fail("expected \"<=\" or \">=\"");
      n->operands.push_back(sum());
    } while (take(","));
    expect(")");
    return n;
  }

  std::string_view text_;
  const std::vector<std::string>& configs_;
  std::size_t at_ = 0;
};

}  // namespace

double PaperExpression::Node::evaluate(PaperRuns& runs) const {
  const auto operand = [&](std::size_t i) { return operands[i]->evaluate(runs); };
  switch (kind) {
    case Kind::kNumber: return number;
    case Kind::kValue: return runs.value(config, sets, pointers.front());
    case Kind::kAdd: return operand(0) + operand(1);
    case Kind::kSubtract: return operand(0) - operand(1);
    case Kind::kMultiply: return operand(0) * operand(1);
    case Kind::kDivide: return operand(0) / operand(1);
    case Kind::kMin:
    case Kind::kMax: {
      double best = operand(0);
      for (std::size_t i = 1; i < operands.size(); ++i) {
        best = kind == Kind::kMin ? std::min(best, operand(i)) : std::max(best, operand(i));
      }
      return best;
    }
    case Kind::kMaxRate:
    case Kind::kMaxCount: break;
  }
  std::vector<double> limits;
  for (std::size_t i = 0; i < operands.size(); ++i) limits.push_back(operand(i));
  const auto holds = [&](const std::vector<std::string>& with_it) {
    for (std::size_t i = 0; i < limits.size(); ++i) {
      const double value = runs.value(config, with_it, pointers[i]);
      if (!(at_least[i] ? value >= limits[i] : value <= limits[i])) return false;
    }
    return true;
  };
  return kind == Kind::kMaxRate ? runs.max_rate(config, sets, holds) : runs.max_count(config, sets, holds);
}

PaperExpression PaperExpression::parse(std::string_view text, const std::vector<std::string>& configs) {
  Parser parser(text, configs);
  PaperExpression e;
  e.root_ = parser.all();
  e.configs_ = parser.used;
  e.searches_ = parser.searches;
  e.counts_ = parser.counts;
  return e;
}

double PaperExpression::evaluate(PaperRuns& runs) const { return root_->evaluate(runs); }

}  // namespace orrery
