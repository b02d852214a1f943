/// The files of `--out DIR`: all of them or none. They are written into a folder beside DIR, which takes its name in
/// one rename when the run is done; a run that fails leaves nothing behind.
///
///   OutputFolder out("out", /*force=*/false);            // throws ConfigError: "out: exists already; ..."
///   RequestsCsv rows(out.file("requests.csv"), names);   // rows_csv.hpp
///   out.write("summary.json", text);
///   out.commit();
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/engine/cluster_parts.hpp"
#include "sim/metrics/rows_csv.hpp"

namespace orrery {

class OutputFolder {
 public:
  /// `force` replaces an earlier output (a folder with a config.json or summary.json, or an empty one), nothing else.
  OutputFolder(std::string path, bool force);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  std::string file(std::string_view name) const { return temporary_ + "/" + std::string(name); }
  void write(std::string_view name, std::string_view text) const;
  void commit();

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

/// actions.csv: what policies, events and the engine did to instances and moving calls; its header alone where nothing
/// acts on the cluster.
class ActionsCsv final : public ActionSink {
 public:
  /// `pool_of`: name of a station's pool.
  ActionsCsv(const std::string& path, std::vector<std::string> pool_of);
  void action(const Action& a) override;
  void close() { file_.close(); }

 private:
  CsvFile file_;
  std::vector<std::string> pool_of_;
};

}  // namespace orrery
