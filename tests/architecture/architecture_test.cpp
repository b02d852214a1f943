#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/architecture/rules.hpp"
#include "tests/source_dir.hpp"

namespace orrery::architecture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// "file:line: rule" of every violation.
std::vector<std::string> found(const Tree& tree) {
  std::vector<std::string> out;
  for (const Violation& v : violations(tree)) out.push_back(v.file + ":" + std::to_string(v.line) + ": " + v.rule);
  return out;
}

std::string header(const std::string& body) { return "/// What it is.\n#pragma once\n" + body; }

TEST(Architecture, TheTreeKeepsTheRules) {
  const Tree tree = read_tree(source_dir());
  ASSERT_GT(tree.size(), 20u) << "the sources were not found at " << source_dir();
  EXPECT_THAT(violations(tree), IsEmpty());
}

TEST(Architecture, ACleanTreeHasNoViolation) {
  const Tree tree = {
      {"sim/base/units.hpp", header("#include <cstdint>\n")},
      {"sim/policy.hpp", header("#include \"sim/base/units.hpp\"\n")},
      {"sim/config/parse.cpp", "#include <nlohmann/json.hpp>\n"},
      {"policies/batching/orca.cpp", "#include \"sim/policy.hpp\"\nauto x = std::sqrt(2.0) + fast_exp2(1.0);\n"},
      {"policies/batching/orca.hpp", header("#include \"sim/base/units.hpp\"\nclass Orca {};\n")},
      {"policies/register.cpp",
       "#include \"policies/batching/orca.hpp\"\nvoid f() { r.add<Orca>(\"orca\", \"Orca\"); }\n"},
      {"calibrate/fit.cpp", "#include <Eigen/Dense>\n#include <cmath>\nauto y = std::exp(1.0);\n"},
      {"experiments/cli/main.cpp", "#include <CLI/CLI.hpp>\n#include \"policies/batching/orca.hpp\"\n"},
      {"tests/bench/engine_bench.cpp", "#include <benchmark/benchmark.h>\n"},
      {"tests/base/units_test.cpp", "#include <gtest/gtest.h>\n#include \"sim/base/units.hpp\"\n"},
  };
  EXPECT_THAT(found(tree), IsEmpty());
}

struct Seeded {
  std::string file, text, expected;   ///< expected: part of "file:line: rule"
};

/// Everything that can be included, so that only the direction is wrong.
const Tree kTargets = {
    {"sim/base/units.hpp", header("")},
    {"sim/policy.hpp", header("")},
    {"sim/cost.hpp", header("")},
    {"sim/engine/station.hpp", header("")},
    {"policies/batching/orca.hpp", header("")},
    {"policies/kv/paged.hpp", header("")},
    {"policies/register.cpp",
     "#include \"policies/batching/orca.hpp\"\nvoid f() { r.add<Orca>(\"orca\", \"Orca\"); }\n"},
    {"hwmodels/laws.hpp", header("")},
    {"kernels/gemm/gemm.hpp", header("")},
    {"traces/csv.hpp", header("")},
    {"calibrate/fit.hpp", header("")},
    {"experiments/run.hpp", header("")},
    {"tests/twin/twin.hpp", header("")},
};

class SeededViolation : public testing::TestWithParam<Seeded> {};

TEST_P(SeededViolation, IsCaught) {
  Tree tree = kTargets;
  ASSERT_THAT(found(tree), IsEmpty());
  tree[GetParam().file] = GetParam().text;
  EXPECT_THAT(found(tree), ElementsAre(HasSubstr(GetParam().expected)));
}

INSTANTIATE_TEST_SUITE_P(
    Directions, SeededViolation,
    testing::Values(
        Seeded{"sim/base/a.cpp", "\n#include \"sim/policy.hpp\"\n",
               "sim/base/a.cpp:2: sim/base/ may not include sim/policy.hpp"},
        Seeded{"sim/config/a.cpp", "#include \"sim/policy.hpp\"\n", "sim/config/ may not include sim/policy.hpp"},
        Seeded{"sim/a.cpp", "#include \"policies/batching/orca.hpp\"\n",
               "sim/ may not include policies/batching/orca.hpp"},
        Seeded{"sim/a.cpp", "#include \"hwmodels/laws.hpp\"\n", "sim/ may not include hwmodels/laws.hpp"},
        Seeded{"sim/a.cpp", "#include \"tests/twin/twin.hpp\"\n", "sim/ may not include tests/twin/twin.hpp"},
        Seeded{"hwmodels/a.cpp", "#include \"sim/policy.hpp\"\n", "hwmodels/ may not include sim/policy.hpp"},
        Seeded{"hwmodels/a.cpp", "#include \"policies/kv/paged.hpp\"\n",
               "hwmodels/ may not include policies/kv/paged.hpp"},
        Seeded{"traces/a.cpp", "#include \"sim/cost.hpp\"\n", "traces/ may not include sim/cost.hpp"},
        Seeded{"policies/batching/a.cpp", "#include \"hwmodels/laws.hpp\"\n",
               "policies/ may not include hwmodels/laws.hpp"},
        Seeded{"policies/batching/a.cpp", "#include \"sim/engine/station.hpp\"\n",
               "policies/ may not include sim/engine/station.hpp"},
        Seeded{"policies/batching/a.cpp", "#include \"policies/kv/paged.hpp\"\n",
               "a policy family may not include another"},
        Seeded{"kernels/gemm/a.cu", "#include \"sim/policy.hpp\"\n", "kernels/ may not include sim/policy.hpp"},
        Seeded{"calibrate/a.cpp", "#include \"traces/csv.hpp\"\n", "calibrate/ may not include traces/csv.hpp"},
        Seeded{"calibrate/a.cpp", "#include \"experiments/run.hpp\"\n",
               "calibrate/ may not include experiments/run.hpp"},
        Seeded{"experiments/a.cpp", "#include \"kernels/gemm/gemm.hpp\"\n",
               "experiments/ may not include kernels/gemm/gemm.hpp"},
        Seeded{"experiments/a.cpp", "#  include \"tests/twin/twin.hpp\"\n",
               "experiments/ may not include tests/twin/twin.hpp"}));

INSTANTIATE_TEST_SUITE_P(Includes, SeededViolation, testing::Values(
    Seeded{"sim/a.cpp", "#include \"policy.hpp\"\n", "include from the root"},
    Seeded{"sim/a.cpp", "#include \"../sim/policy.hpp\"\n", "include from the root"},
    Seeded{"sim/a.cpp", "#include <sim/policy.hpp>\n", "with quotes"},
    Seeded{"sim/a.cpp", "#include \"sim/gone.hpp\"\n", "no such file: sim/gone.hpp"},
    Seeded{"sim/a.hpp", header("#include <nlohmann/json_fwd.hpp>\n"), "nlohmann/json in a header"},
    Seeded{"experiments/a.cpp", "#include <CLI/App.hpp>\n", "CLI11 may not be used here"},
    Seeded{"hwmodels/a.cpp", "#include <Eigen/Core>\n", "Eigen may not be used here"},
    Seeded{"sim/a.cpp", "#include <gtest/gtest_prod.h>\n", "GoogleTest may not be used here"},
    Seeded{"tests/base/a_test.cpp", "#include <benchmark/benchmark.h>\n", "Google Benchmark only in *_bench files"}));

INSTANTIATE_TEST_SUITE_P(Code, SeededViolation, testing::Values(
    Seeded{"sim/a.cpp", "\n\ndouble x = std::exp(1.0);\n", "sim/a.cpp:3: exp() differs"},
    Seeded{"policies/kv/a.cpp", "double x = 2 * log2 (3.0);\n", "log2() differs"},
    Seeded{"hwmodels/a.cpp", "using std::pow;\ndouble x = pow(2.0, 0.5);\n", "hwmodels/a.cpp:2: pow() differs"},
    Seeded{"traces/a.cpp", "float x = ::expf(1.0f);\n", "expf() differs"},
    Seeded{"traces/a.cpp", "double x = \"//\"[0] + std::tgamma(2.0);\n", "tgamma() differs"},
    Seeded{"sim/a.cpp", "std::random_device seed;\n", "random_device makes results depend"},
    Seeded{"traces/a.cpp", "std::normal_distribution<double> d;\n", "normal_distribution makes results depend"},
    Seeded{"sim/a.cpp", "auto t = std::chrono::steady_clock::now();\n", "steady_clock makes results depend"},
    Seeded{"sim/a.cpp", "class Orca;\n", "sim/ names a policy: Orca"},
    Seeded{"sim/a.cpp", "bool b = name == \"orca\";\n", "sim/ names a policy: \"orca\""}));

INSTANTIATE_TEST_SUITE_P(Headers, SeededViolation, testing::Values(
    Seeded{"sim/a.hpp", "/// What it is.\nint x;\n#pragma once\n", "sim/a.hpp:2: #pragma once comes first"},
    Seeded{"sim/a.hpp", "/// What it is.\n", "#pragma once comes first"},
    Seeded{"kernels/gemm/a.cuh", "#pragma once\n", "a header opens with a /// comment"}));

TEST(Architecture, JsonInAFourthFileIsCaught) {
  Tree tree = kTargets;
  for (const char* file : {"sim/config/parse.cpp", "experiments/write.cpp", "hwmodels/read.cpp"})
    tree[file] = "#include <nlohmann/json.hpp>\n";
  EXPECT_THAT(found(tree), IsEmpty());
  tree["traces/read.cpp"] = "#include <nlohmann/json.hpp>\n";
  EXPECT_THAT(found(tree), testing::Contains(HasSubstr("traces/read.cpp:1: nlohmann/json is included in 4 files")));
}

TEST(Architecture, CommentsAndStringsDoNotCount) {
  const Tree tree = {
      {"sim/a.cpp", "// std::exp(1)\n/* #include \"policies/x.hpp\"\n std::log(2) */\nauto s = \"std::exp(1)\";\n"
                    "auto r = R\"x(std::pow(1, 2) \" )x\"; char c = '\"'; int big = 1'000'000;\n"
                    "model.exp(1); p->log(2); my_log(3); orrery::exp(4);\n"},
  };
  EXPECT_THAT(found(tree), IsEmpty());
}

TEST(Architecture, CodeKeepsItsLinesAndLosesItsComments) {
  EXPECT_EQ(code_of("a /* b\n c */ d // e\nf \"g\"", true), "a     \n      d     \nf \"g\"");
  EXPECT_EQ(code_of("f(\"a\\\"b\", 'c')", false), "f(\"    \", ' ')");
}

}  // namespace
}  // namespace orrery::architecture
