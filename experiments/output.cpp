#include "experiments/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

bool replaceable(const fs::path& folder) {
  std::error_code e;
  if (!fs::is_directory(folder, e)) return false;
  return fs::is_empty(folder, e) || fs::exists(folder / "summary.json", e) || fs::exists(folder / "config.json", e);
}

}  // namespace

OutputFolder::OutputFolder(std::string path, bool force) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  if (path_.empty()) throw ConfigError("--out: expected the name of a folder");
  std::error_code e;
  if (fs::exists(path_, e)) {
    if (!force) throw ConfigError("--out " + path_ + ": exists already; --force replaces it");
    if (!replaceable(path_)) {
      throw ConfigError("--out " + path_ +
                        ": is not an earlier output (no summary.json in it); --force does not replace it");
    }
  }
  temporary_ = path_ + ".partial-" + std::to_string(::getpid());
  fs::create_directories(temporary_, e);
  if (e) throw ConfigError("--out " + path_ + ": cannot make this folder: " + e.message());
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void OutputFolder::write(std::string_view name, std::string_view text) const {
  std::FILE* f = std::fopen(file(name).c_str(), "wb");
  const bool written = f != nullptr && std::fwrite(text.data(), 1, text.size(), f) == text.size();
  const bool closed = f != nullptr && std::fclose(f) == 0;
  if (!written || !closed) throw ConfigError(file(name) + ": cannot write: " + std::strerror(errno));
}

void OutputFolder::commit() {
  std::error_code e;
  const std::string old = path_ + ".old-" + std::to_string(::getpid());
  const bool replace = fs::exists(path_, e);
  if (replace) fs::rename(path_, old, e);
  if (!e) fs::rename(temporary_, path_, e);
  if (e)
    throw ConfigError("--out " + path_ + ": cannot put the results there: " + e.message() + "; they are in " +
                      temporary_);
  committed_ = true;
  if (replace) fs::remove_all(old, e);
}

ActionsCsv::ActionsCsv(const std::string& path, std::vector<std::string> pool_of)
    : file_(path), pool_of_(std::move(pool_of)) {
  file_.text("t_s,controller,action,pool,replica,request,value,estimate_s");
  file_.end();
}

void ActionsCsv::action(const Action& a) {
  file_.seconds(to_ps(a.at));
  for (const std::string_view word : {a.who, a.what}) {
    file_.comma();
    file_.text(word);
  }
  file_.comma();
  if (a.station.valid()) {
    file_.text(pool_of_.at(static_cast<std::size_t>(a.station.index)));
    file_.comma();
    file_.number(a.station.index);
  } else {
    file_.comma();
  }
  file_.comma();
  if (a.request != ~std::uint64_t{0}) file_.number(static_cast<std::int64_t>(a.request));
  file_.comma();
  file_.number(a.value);
  file_.comma();
  if (a.estimate) file_.seconds(to_ps(*a.estimate));
  file_.end();
}

}  // namespace orrery
