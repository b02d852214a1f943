/// A text file as a moving window of whole lines: memory does not grow with the file. The window always ends with a
/// newline (one is added where the last line has none), so a parser needs no other bounds check; kPad more bytes may be
/// read behind it, whatever they hold.
///
///   TextFile file("prod.csv");                       // throws ConfigError if it cannot be opened
///   while (file.more()) parse_one_line(file.cursor); // moves cursor behind the newline
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

class TextFile {
 public:
  /// A longer line is an error (ConfigError from more()).
  static constexpr std::size_t kMaxLine = std::size_t{1} << 26;

  static constexpr std::size_t kPad = 32;

  explicit TextFile(std::string path);
  /// Text in memory, which must outlive this; `name` stands for the path in errors.
  TextFile(std::string name, std::string_view text);
  ~TextFile();
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  /// True if a whole line starts at `cursor`; reads on when the window is used up.
  bool more() { return cursor != end_ || refill(); }
  void rewind();
  const std::string& name() const { return name_; }
  /// The line at the cursor, without its newline and carriage return; moves behind it.
  std::string_view take_line();

  const char* cursor = nullptr;

 private:
  bool refill();
  std::size_t read(char* to, std::size_t size);

  std::string name_;
  std::string_view text_;
  std::size_t text_read_ = 0;
  int descriptor_ = -1;
  std::vector<char> buffer_;
  const char* end_ = nullptr;      ///< behind the last whole line
  std::size_t filled_ = 0;         ///< bytes of the buffer in use, the unfinished line included
  bool at_end_ = false;
};

}  // namespace orrery
