/// Files that are written whole or not at all, also if the program is killed, and the date they carry.
///
///   write_whole("HW.json", to_json(v, 1));   today();   // "2026-11-24", UTC
#pragma once

#include <filesystem>
#include <string>

namespace orrery {

/// A newline is added. Throws ConfigError.
void write_whole(const std::filesystem::path& path, const std::string& text);
std::string today();

}  // namespace orrery
