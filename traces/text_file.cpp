#include "traces/text_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

constexpr std::size_t kWindow = std::size_t{1} << 18;  // of a file; stays in the second-level cache
constexpr std::size_t kTextWindow = 256;               // of text in memory: small, so that tests cross its boundaries

[[noreturn]] void fail(const std::string& name, const std::string& what) { throw ConfigError(name + ": " + what); }

}  // namespace

TextFile::TextFile(std::string path) : name_(std::move(path)) {
  struct stat about{};
  descriptor_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail(name_, std::string("cannot be opened: ") + std::strerror(errno));
  if (::fstat(descriptor_, &about) != 0 || !S_ISREG(about.st_mode)) {
    ::close(descriptor_);
    fail(name_, "is not a regular file");
  }
  rewind();
}

TextFile::TextFile(std::string name, std::string_view text) : name_(std::move(name)), text_(text) { rewind(); }

TextFile::~TextFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void TextFile::rewind() {
  if (descriptor_ >= 0) ::lseek(descriptor_, 0, SEEK_SET);
  text_read_ = 0;
  if (buffer_.empty()) buffer_.resize(descriptor_ >= 0 ? kWindow : kTextWindow);
  cursor = end_ = buffer_.data();
  filled_ = 0;
  at_end_ = false;
  if (more() && end_ - cursor >= 3 && std::memcmp(cursor, "\xef\xbb\xbf", 3) == 0) cursor += 3;  // byte order mark
}

std::size_t TextFile::read(char* to, std::size_t size) {
  if (descriptor_ < 0) {
    const std::size_t part = std::min(size, text_.size() - text_read_);
    std::memcpy(to, text_.data() + text_read_, part);
    text_read_ += part;
    return part;
  }
  for (;;) {
    const ssize_t got = ::read(descriptor_, to, size);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) fail(name_, std::string("cannot be read: ") + std::strerror(errno));
  }
}

bool TextFile::refill() {
  const auto rest = static_cast<std::size_t>(buffer_.data() + filled_ - end_);
  if (rest != 0) std::memmove(buffer_.data(), end_, rest);
  filled_ = rest;
  std::size_t searched = 0;
  while (!at_end_) {
    if (filled_ + kPad >= buffer_.size()) {
      if (buffer_.size() >= kMaxLine) fail(name_, "a line is longer than " + std::to_string(kMaxLine) + " bytes");
      buffer_.resize(buffer_.size() * 2);
    }
    const std::size_t got = read(buffer_.data() + filled_, buffer_.size() - kPad - filled_);
    filled_ += got;
    at_end_ = got == 0;
    const void* last = filled_ > searched ? ::memrchr(buffer_.data() + searched, '\n', filled_ - searched) : nullptr;
    searched = filled_;
    if (last != nullptr) {
      cursor = buffer_.data();
      end_ = static_cast<const char*>(last) + 1;
      return true;
    }
  }
  if (filled_ != 0) buffer_[filled_++] = '\n';  // the pad has room for it
  cursor = buffer_.data();
  end_ = buffer_.data() + filled_;
  return filled_ != 0;
}

std::string_view TextFile::take_line() {
  const auto* newline = static_cast<const char*>(std::memchr(cursor, '\n', static_cast<std::size_t>(end_ - cursor)));
  std::string_view line(cursor, static_cast<std::size_t>(newline - cursor));
  cursor = newline + 1;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace orrery
