/// Loads the example plug-in of this folder and lets it plan; and the ways in which loading fails, by message.
#include "sim/plugin.hpp"

#include <gtest/gtest.h>

#include "policies/batching/orca.hpp"
#include "policies/register.hpp"
#include "sim/config/value.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

/// Keeps the defaults.
struct Defaults final : Describer {
  using Describer::field;
  void field(std::string_view, std::int64_t&, Range, std::string_view, std::string_view) override {}
  void field(std::string_view, double&, Range, std::string_view, std::string_view) override {}
  void field(std::string_view, bool&, std::string_view) override {}
  void field(std::string_view, std::string&, std::string_view) override {}
  void field(std::string_view, std::vector<double>&, Range, std::string_view) override {}
  void duration(std::string_view, Duration&, Range, std::string_view) override {}
  void enumeration(std::string_view, int&, const std::vector<EnumName>&, std::string_view) override {}
};

std::string error_of(const std::string& argument) {
  Registry registry;
  register_policies(registry);
  try {
    load_plugin(registry, argument);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST(Plugin, TheExampleAddsABatcherThatPlans) {
  Registry registry;
  register_policies(registry);
  EXPECT_EQ(load_plugin(registry, "mine=" PLUGIN_LONGEST_FIRST), "mine");
  const auto* entry = registry.find<Batcher>("longest-first");
  ASSERT_NE(entry, nullptr);
  Defaults defaults;
  const auto batcher = entry->make(defaults);
  const auto picture = Picture().decoding(2, 40).waiting(10).waiting(300).waiting(20);
  EXPECT_EQ(planned_by(*batcher, picture).chunks, (Chunks{{3, 300}, {4, 20}, {2, 10}}));
  EXPECT_EQ(planned_by(*batcher, picture).decoding, 2);
  EXPECT_EQ(planned_by(Orca({}), picture).chunks, (Chunks{{2, 10}, {3, 300}, {4, 20}}));
}

TEST(Plugin, BuiltAgainstOtherHeadersIsRefusedBeforeItRuns) {
  const std::string view = std::to_string(sizeof(StationView)), other = std::to_string(sizeof(StationView) + 8);
  EXPECT_EQ(error_of("mine=" PLUGIN_OLD_HEADERS),
            "--plugin mine=" PLUGIN_OLD_HEADERS
            ": was built against other headers (interface version 999 instead of " +
                std::to_string(PluginAbi{}.version) + ", size of StationView " + other + " instead of " + view +
                "); compile it again with this version's");
}

TEST(Plugin, WithoutTheEntryPointIsRefused) {
  EXPECT_EQ(error_of("mine=" PLUGIN_NO_PLUGIN), "--plugin mine=" PLUGIN_NO_PLUGIN
            ": is no Orrery plug-in: it lacks orrery_plugin (see ORRERY_PLUGIN in sim/plugin.hpp)");
}

TEST(Plugin, ANameThatIsTakenIsRefused) {
  EXPECT_EQ(error_of("mine=" PLUGIN_NAME_TAKEN), "--plugin mine=" PLUGIN_NAME_TAKEN ": the name \"sarathi\" is taken");
}

TEST(Plugin, AFileThatIsNotThereIsNamed) {
  EXPECT_EQ(error_of("mine=/no/such.so"),
            "--plugin mine=/no/such.so: cannot be loaded: /no/such.so: cannot open shared object file: No such file "
            "or directory");
}

TEST(Plugin, TheArgumentIsNameEqualsPath) {
  for (const char* bad : {"mine", "=x.so", "mine="})
    EXPECT_EQ(error_of(bad), std::string("--plugin ") + bad + ": expected NAME=PATH");
}

}  // namespace
}  // namespace orrery
