#include "experiments/cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <new>
#include <ostream>

#include "experiments/calibrate.hpp"
#include "experiments/paper.hpp"
#include "experiments/run.hpp"
#include "experiments/validate.hpp"
#include "experiments/verbs.hpp"
#include "sim/config/names.hpp"
#include "sim/config/value.hpp"
#include "sim/engine/simulation.hpp"

namespace orrery {
namespace {

/// A verb of DESIGN section 2 that this version does not have yet.
struct Later {
  const char *name, *help;
};
constexpr std::array kLater{
    Later{"sweep", "run a study"},
    Later{"compare", "compare configs by paired runs"},
    Later{"plan", "cheapest deployment under an SLO"},
    Later{"explain", "where the tail comes from"},
    Later{"report", "one HTML file of results"},
    Later{"trace", "import, fit and describe traces"},
    Later{"support", "what is supported"},
    Later{"init", "write a config to start from"},
    Later{"bundle", "pack results with their inputs"},
    Later{"cite", "what to cite for a result"},
    Later{"new", "write the skeleton of a policy"},
};

std::string quoted(const std::string& argument) {
  const bool plain = !argument.empty() && argument.find_first_of(" \t\n\"'\\$`*?[]{}()<>|&;#~!") == std::string::npos;
  if (plain) return argument;
  std::string out = "'";
  for (const char c : argument) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string command_of(const std::vector<std::string>& arguments) {
  std::string out = "orrery";
  for (const std::string& a : arguments) out += " " + quoted(a);
  return out;
}

CLI::Validator whole_number(std::int64_t least) {
  return {[least](const std::string& text) -> std::string {
            std::int64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error == std::errc{} && end == text.data() + text.size() && value >= least) return "";
            return "expected a whole number of at least " + std::to_string(least) + ", got \"" + text + "\"";
          },
          ""};
}

CLI::Validator one_of(std::vector<std::string> words) {
  std::string list;
  for (const std::string& w : words) list += (list.empty() ? "{" : ",") + w;
  return {[words = std::move(words)](const std::string& text) -> std::string {
            if (std::find(words.begin(), words.end(), text) != words.end()) return "";
            std::string known;
            for (const std::string& w : words) known += (known.empty() ? "" : ", ") + w;
            const std::string hint = did_you_mean(text, words);
            return "expected one of " + known + ", got \"" + text + "\"" + hint;
          },
          list + "}"};
}

/// Multi-line messages become one error a line, each with the program's name.
int complain(std::ostream& err, std::string_view message) {
  while (!message.empty()) {
    const std::size_t end = message.find('\n');
    err << "orrery: " << message.substr(0, end) << '\n';
    message = end == std::string_view::npos ? "" : message.substr(end + 1);
  }
  return kExitCannotRun;
}

/// "--seeds: 1 required K missing" in other words.
std::string missing_value(const std::string& message) {
  const std::size_t from = message.find(" required "), to = message.find(" missing");
  if (from == std::string::npos || to == std::string::npos) return message;
  return message.substr(0, message.find(':')) + ": expected a value, " + message.substr(from + 10, to - from - 10);
}

CLI::Validator not_empty() {
  return {[](const std::string& text) -> std::string { return text.empty() ? "expected a name, got \"\"" : ""; }, ""};
}

class Program {
 public:
  Program(std::ostream& out, std::ostream& err) : out_(out), err_(err) {
    app_.require_subcommand(0, 1);
    app_.set_version_flag("--version", std::string("orrery ") + ORRERY_VERSION);
    add_run();
    add_check();
    add_cost();
    add_policies();
    add_schema();
    add_rerun();
    add_paper();
    add_calibrate();
    add_validate();
    for (const Later& v : kLater) {
      app_.add_subcommand(v.name, std::string(v.help) + " (not available in this version)")
          ->allow_extras()
          ->prefix_command();
    }
  }

  int run(std::vector<std::string> arguments) {
    run_.command = command_of(arguments);
    if (!arguments.empty() && arguments[0] == "help") {   // help [VERB]
      arguments.erase(arguments.begin());
      arguments.emplace_back("--help");
    }
    if (!arguments.empty() && arguments[0].rfind('-', 0) != 0 && !known_verb(arguments[0])) {
      return complain(err_, unknown_verb(arguments[0]));
    }
    try {
      std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
      app_.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
      const auto chosen = app_.get_subcommands();
      out_ << (chosen.empty() ? app_.help() : chosen.front()->help());
      return kExitDone;
    } catch (const CLI::CallForVersion& e) {
      out_ << e.what() << '\n';
      return kExitDone;
    } catch (const CLI::ExtrasError&) { return complain(err_, unexpected()); } catch (const CLI::ArgumentMismatch& e) {
      return complain(err_, missing_value(e.what()));
    } catch (const CLI::ParseError& e) { return complain(err_, e.what()); }
    return dispatch();
  }

 private:
  CLI::App* verb(const char* name, const char* help, std::function<int()> action) {
    CLI::App* sub = app_.add_subcommand(name, help);
    actions_.emplace_back(sub, std::move(action));
    return sub;
  }

  void add_run() {
    CLI::App* v = verb("run", "simulate a config", [this] { return run_verb(run_, out_, err_); });
    v->add_option("CONFIG", run_.config, "run config (JSON)")->required();
    add_set(v, run_.sets);
    add_plugin(v, run_.plugins);
    v->add_option("--out", run_.out, "folder for the results")->check(not_empty())->type_name("DIR");
    v->add_flag("--force", run_.force, "replace an earlier result in --out");
    v->add_option("--seed", run_.seed, "seed of the random numbers")->check(whole_number(0))->type_name("N");
    v->add_option("--seeds", run_.seeds, "replications, with intervals over them")
        ->check(whole_number(1))
        ->type_name("K");
    v->add_option("--executor", run_.executor, "what runs the batches")->check(one_of({"model", "cpu", "cuda"}));
    v->add_option("--metrics", run_.metrics, "whose definitions of TPOT and ITL")
        ->check(one_of({"vllm", "guidellm", "aiperf", "mlperf"}));
    v->add_flag("--no-rows", run_.no_rows, "write no requests.csv");
    v->add_flag("--no-fast-forward", run_.no_fast_forward, "step through every iteration");
    v->add_flag("--verify-fast-forward", run_.verify_fast_forward, "ask the policy at every skipped iteration");
    v->add_option("--timeline", run_.timeline, "trace this part of the run, for the Perfetto viewer")
        ->type_name("A..B");
    v->add_flag("--max-rate", run_.max_rate, "also find the highest rate that keeps the SLO, by about 12 more runs");
    v->add_flag("--clairvoyant", run_.clairvoyant,
                "also say how near the result is to that of a queue that knows all lengths, by one more run");
    v->add_flag("--exact", run_.exact, "keep every value: exact percentiles, more memory");
    add_output(v, run_);
  }

  void add_rerun() {
    CLI::App* v = verb("rerun", "repeat a result from its folder and compare",
                       [this] { return rerun_verb(folder_, run_, out_, err_); });
    v->add_option("OUT", folder_, "folder of a result")->required();
    add_plugin(v, run_.plugins);
    add_output(v, run_);
  }

  void add_check() {
    CLI::App* v = verb("check", "what a config resolves to", [this] { return check_verb(check_, out_); });
    v->add_option("CONFIG", check_.config, "run config (JSON)")->required();
    add_set(v, check_.sets);
    add_plugin(v, check_.plugins);
    v->add_flag("--json", check_.json, "print JSON");
  }

  void add_cost() {
    CLI::App* v = verb("cost", "time of one operator on a device", [this] { return cost_verb(cost_, out_); });
    v->add_option("HW", cost_.hardware, "hardware")->required();
    v->add_option("--op", cost_.op, "operator")->type_name("OP");
    v->add_option("--set", cost_.sets, "its shape: k=v,k=v")->type_name("k=v,...")->delimiter(',');
    v->add_option("--predict", cost_.predict, "a CSV file of shapes")->type_name("SHAPES.csv");
    v->add_flag("--crossovers", cost_.crossovers, "where the fastest kernel changes");
    v->add_flag("--json", cost_.json, "print JSON");
  }

  void add_policies() {
    CLI::App* v =
        verb("policies", "list the policies", [this] { return policies_verb(policy_, plugins_, policies_json_, out_); });
    v->add_option("NAME", policy_, "only this one");
    add_plugin(v, plugins_);
    v->add_flag("--json", policies_json_, "print JSON");
  }

  void add_paper() {
    CLI::App* v = verb("paper", "the experiments of the papers", [this] { return paper_verb(paper_, out_, err_); });
    v->add_option("NAME", paper_.name, "an experiment, its file (.json), or all; without it they are listed");
    v->add_flag("--heavy", paper_.heavy, "all: those that take minutes too");
    v->add_flag("--json", paper_.json, "print JSON");
    v->add_flag("--markdown", paper_.markdown, "print docs/SYSTEMS.md");
  }

  void add_calibrate() {
    CLI::App* v = verb("calibrate", "measure a hardware model on this machine",
                       [this] { return calibrate_verb(calibrate_, out_, err_); });
    v->add_option("--backend", calibrate_.backend, "whose kernels")->check(one_of({"cpu", "cuda"}));
    v->add_option("--out", calibrate_.out, "hardware model to write; its samples lie beside it")->type_name("HW.json");
    v->add_option("--model", calibrate_.model,
                  "whose shapes and whole steps (default: llama-tiny, on a GPU llama-3.1-8b)")
        ->type_name("NAME");
    v->add_flag("--quick", calibrate_.quick, "fewer points");
    v->add_flag("--force", calibrate_.force, "measure anew where samples are there");
    v->add_option("--from", calibrate_.from, "logs of an engine (not available in this version)")->type_name("FILE");
    v->add_option("--base", calibrate_base_, "with --from: the hardware model to correct")->type_name("HW");
    v->add_flag("--json", calibrate_.json, "print the fit report as JSON");
    v->add_flag("--quiet", calibrate_.quiet, "print nothing but errors");
  }

  void add_validate() {
    CLI::App* v = verb("validate", "a real run beside the simulation", [this] {
      if (!against_.empty()) throw ConfigError("--against: not available in this version");
      return validate_verb(validate_, out_, err_);
    });
    v->add_option("CONFIG", validate_.config, "run config (JSON)")->required();
    v->add_option("--backend", validate_.backend, "what runs the steps")->check(one_of({"cpu", "cuda"}));
    v->add_option("--against", against_, "results of another engine (not available in this version)")
        ->type_name("FILE");
    add_set(v, validate_.sets);
    add_plugin(v, validate_.plugins);
    v->add_flag("--json", validate_.json, "print JSON");
    v->add_flag("--record", validate_.record, "write what passed into the file of the config's hardware model");
  }

  void add_schema() {
    CLI::App* v = verb("schema", "JSON schema of the configs", [this] { return schema_verb(schema_, out_); });
    v->add_option("KIND", schema_, "study or plan; a run config without it");
  }

  static void add_set(CLI::App* v, std::vector<std::string>& sets) {
    // Each --set takes one argument, or CONFIG would be swallowed.
    v->add_option("--set", sets, "change one value of the config")
        ->type_name("/json/pointer=VALUE")
        ->allow_extra_args(false);
  }
  static void add_plugin(CLI::App* v, std::vector<std::string>& plugins) {
    v->add_option("--plugin", plugins, "where the plug-in NAME of the config lies")
        ->type_name("NAME=PATH")
        ->allow_extra_args(false);
  }
  static void add_output(CLI::App* v, RunOptions& o) {
    v->add_flag("--json", o.json, "print the summary as JSON and nothing else");
    v->add_flag("--quiet", o.quiet, "print nothing but errors and a missed SLO");
  }

  std::vector<std::string> verbs() const {
    std::vector<std::string> names;
    for (const auto& [sub, action] : actions_) names.push_back(sub->get_name());
    return names;
  }
  static std::vector<std::string> later_verbs() {
    std::vector<std::string> names;
    for (const Later& v : kLater) names.emplace_back(v.name);
    return names;
  }
  std::string unknown_verb(const std::string& word) const {
    if (word.ends_with(".json")) return "\"" + word + "\" is no verb; did you mean: orrery run " + quoted(word);
    return unknown_name("verb", word, verbs(), later_verbs());
  }
  /// What the verb has no use for: options with the nearest that it has, and words.
  std::string unexpected() const {
    const CLI::App* chosen = app_.get_subcommands().empty() ? &app_ : app_.get_subcommands().front();
    std::vector<std::string> options;
    for (const CLI::Option* o : chosen->get_options())
      if (!o->get_lnames().empty()) options.push_back("--" + o->get_lnames().front());
    std::string out;
    for (const std::string& word : app_.remaining(true)) {
      const std::string option = word.substr(0, word.find('='));
      out += (out.empty() ? "" : "\n") +
             (word.starts_with("-") ? unknown_name("option", option, options) : "unexpected argument \"" + word + "\"");
    }
    return out;
  }

  bool known_verb(const std::string& name) const {
    const auto all = verbs(), later = later_verbs();
    return std::find(all.begin(), all.end(), name) != all.end() ||
           std::find(later.begin(), later.end(), name) != later.end();
  }

  int dispatch() {
    const auto chosen = app_.get_subcommands();
    if (chosen.empty()) {
      out_ << app_.help();
      return kExitDone;
    }
    for (const auto& [sub, action] : actions_) {
      if (sub == chosen.front()) return action();
    }
    return complain(err_, chosen.front()->get_name() + ": not available in this version");
  }

  std::ostream& out_;
  std::ostream& err_;
  CLI::App app_{"Orrery: trace-driven simulator of LLM inference serving", "orrery"};
  std::vector<std::pair<CLI::App*, std::function<int()>>> actions_;
  RunOptions run_;
  CheckOptions check_;
  CostOptions cost_;
  PaperOptions paper_;
  CalibrateOptions calibrate_;
  std::string calibrate_base_;
  ValidateOptions validate_;
  std::string folder_, policy_, schema_;
  std::vector<std::string> against_, plugins_;
  bool policies_json_ = false;
};

}  // namespace

int run_cli(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  try {
    const int code = Program(out, err).run(arguments);
    out.flush();
    return out ? code : complain(err, "cannot write to standard output");
  } catch (const ConfigError& e) { return complain(err, e.what()); } catch (const RequestRefused& e) {
    return complain(err, e.what());
  } catch (const EngineError& e) {
    return complain(err, std::string("a promise of the engine is broken, please report it: ") + e.what());
  } catch (const std::bad_alloc&) { return complain(err, "out of memory"); } catch (const std::exception& e) {
    return complain(err, e.what());
  }
}

}  // namespace orrery
