/// Config documents: layers, --set, and the words of what goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "experiments/document.hpp"

namespace orrery {
namespace {

class DocumentTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("orrery-document-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  static std::string error(const std::string& path, const std::vector<std::string>& sets = {}) {
    try {
      load_document(path, sets);
    } catch (const ConfigError& e) { return e.what(); }
    return "no error";
  }
  std::filesystem::path folder_;
};

std::string merge(const char* base, const char* over) {
  return to_json(merged(parse_json(base), parse_json(over)), -1);
}

TEST(Merged, ObjectsKeyByKeyAllElseReplaces) {
  EXPECT_EQ(merge(R"({"a": {"x": 1, "y": 2}, "l": [1, 2]})", R"({"a": {"y": 3}, "l": [4]})"),
            R"({"a": {"x": 1, "y": 3}, "l": [4]})");
  EXPECT_EQ(merge(R"({"a": 1, "b": 2})", R"({"a": null, "c": 3})"), R"({"b": 2, "c": 3})");
}

TEST(Merged, PoliciesOfDifferentNamesAreAlternatives) {
  EXPECT_EQ(merge(R"({"name": "sarathi", "token_budget": 512})", R"({"name": "vllm"})"), R"({"name": "vllm"})");
  EXPECT_EQ(merge(R"({"name": "sarathi", "token_budget": 512})", R"({"name": "sarathi", "max_running": 8})"),
            R"({"name": "sarathi", "token_budget": 512, "max_running": 8})");
}

TEST_F(DocumentTest, ExtendsIsRelativeToTheFileThatSaysItAndReadFirst) {
  write("base/base.json", R"({"model": "m", "cluster": {"replicas": 1, "tp": 2}})");
  write("base/middle.json", R"({"extends": "base.json", "cluster": {"replicas": 4}})");
  const auto d = load_document(write("top.json", R"({"extends": "base/middle.json", "seed": 7})"), {});
  EXPECT_EQ(to_json(d.value, -1), R"({"model": "m", "cluster": {"replicas": 4, "tp": 2}, "seed": 7})");
  EXPECT_EQ(d.files.size(), 3u);
  EXPECT_EQ(d.value.at("cluster").at("tp").pointer(), "/cluster/tp");
  EXPECT_EQ(d.folder, folder_.string());
}

TEST_F(DocumentTest, ACircleOfExtendsIsAnError) {
  write("a.json", R"({"extends": "b.json"})");
  write("b.json", R"({"extends": "a.json"})");
  EXPECT_EQ(error((folder_ / "a.json").string()), (folder_ / "a.json").string() + ": extends itself");
}

TEST_F(DocumentTest, AMissingBaseIsNamedWhereItIsAskedFor) {
  const std::string top = write("top.json", "{\n  \"extends\": \"none.json\"\n}");
  EXPECT_EQ(error(top), top + ":2 /extends: no file \"" + (folder_ / "none.json").string() + "\"");
}

TEST_F(DocumentTest, SetTakesJsonAndBareWordsAndMakesWhatIsMissing) {
  const std::string path = write("c.json", R"({"policy": {"batching": "sarathi"}, "l": [1]})");
  const auto d =
      load_document(path, {"/cluster/tp=4", "/policy/router=random", "/policy/batching/token_budget=64",
                           "/slo={\"ttft_p99\": \"1s\"}", "/l/0=5", "/l/-=6", "/a~1b=true", "/model=llama-3.1-8b"});
  EXPECT_EQ(to_json(d.value, -1),
            R"({"policy": {"batching": {"name": "sarathi", "token_budget": 64}, "router": "random"}, "l": [5, 6], )"
            R"("cluster": {"tp": 4}, "slo": {"ttft_p99": "1s"}, "a/b": true, "model": "llama-3.1-8b"})");
}

TEST_F(DocumentTest, BadSetsAreToldTogether) {
  const std::string path = write("c.json", R"({"seed": 1, "l": [1]})");
  EXPECT_EQ(error(path, {"seed=2", "/seed/x=1", "/l/7=1", "/ok=1", "/none"}),
            "--set seed=2: expected /json/pointer=VALUE; did you mean /seed=2?\n"
            "--set /seed/x=1: \"x\" is inside 1\n"
            "--set /l/7=1: \"7\" is not an index of an array of 1\n"
            "--set /none: expected /json/pointer=VALUE");
}

TEST_F(DocumentTest, AConfigIsAnObject) {
  const std::string path = write("c.json", "[1]");
  EXPECT_EQ(error(path), path + ":1 /: expected a config object, got an array");
}

}  // namespace
}  // namespace orrery
