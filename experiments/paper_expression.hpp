/// The metric expressions of paper experiments: numbers, + - * /, parentheses, min(...), max(...), a value of a run's
/// summary, and the largest arrival rate at which limits hold.
///
///   orca:/batch/mean_running                                a value of the run of config `orca`
///   fastgen[/workload/arrival/users=16]:/itl_s/p95          the same with a key of the config set; several by `;`
///   max_rate(paged, /paper/normalized_latency_s/mean <= 0.5, /queue_s/p50 <= 2, /slo/attainment >= 0.9)
///   max_count(polca, /power/brakes <= 0)                    the largest count (of servers, say) at which limits hold
///
/// A pointer ends at a blank, a comma or a closing parenthesis, so operators need blanks beside it. The left side of a
/// limit is a pointer into the summary of the config that is searched, the right side any expression.
///
///   PaperExpression e = PaperExpression::parse("a:/x / max(b:/x, 1)", {"a", "b"});   // throws ConfigError: "column 5:
///   ..." double v = e.evaluate(runs);
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

/// What an expression asks for. Implementations may remember runs.
class PaperRuns {
 public:
  virtual ~PaperRuns() = default;
  /// `sets`: "/json/pointer=VALUE" each.
  virtual double value(const std::string& config, const std::vector<std::string>& sets, const std::string& pointer) = 0;
  /// The largest count at which `holds`, likewise.
  virtual double max_count(const std::string& config, const std::vector<std::string>& sets,
                           const std::function<bool(const std::vector<std::string>& sets_with_count)>& holds) = 0;
  /// The largest rate at which `holds` of the run's summary, by pointers: value(config, {rate}, pointer).
  virtual double max_rate(const std::string& config, const std::vector<std::string>& sets,
                          const std::function<bool(const std::vector<std::string>& sets_with_rate)>& holds) = 0;
};

class PaperExpression {
 public:
  struct Node;
  static PaperExpression parse(std::string_view text, const std::vector<std::string>& configs);
  double evaluate(PaperRuns& runs) const;
  /// Names of configs that occur, each once.
  const std::vector<std::string>& configs() const { return configs_; }
  bool searches() const { return searches_; }    ///< uses max_rate
  bool counts() const { return counts_; }        ///< uses max_count

 private:
  std::shared_ptr<const Node> root_;
  std::vector<std::string> configs_;
  bool searches_ = false, counts_ = false;
};

}  // namespace orrery
