#include "calibrate/weights/safetensors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kMostHeader = 100'000'000;   ///< bytes, as the format's own reader

struct Type {
  std::string_view name;
  std::int64_t bytes;
  TensorType type;
};
constexpr Type kTypes[] = {
    {"F32", 4, TensorType::kF32},    {"F16", 2, TensorType::kF16},       {"BF16", 2, TensorType::kBf16},
    {"F64", 8, TensorType::kOther},  {"I64", 8, TensorType::kOther},     {"U64", 8, TensorType::kOther},
    {"I32", 4, TensorType::kOther},  {"U32", 4, TensorType::kOther},     {"I16", 2, TensorType::kOther},
    {"U16", 2, TensorType::kOther},  {"I8", 1, TensorType::kOther},      {"U8", 1, TensorType::kOther},
    {"BOOL", 1, TensorType::kOther}, {"F8_E4M3", 1, TensorType::kOther}, {"F8_E5M2", 1, TensorType::kOther}};

[[noreturn]] void refuse(const std::string& file, const std::string& reason) {
  throw ConfigError(file + ": " + reason);
}

std::string quoted(std::string_view name) { return "tensor \"" + std::string(name) + "\""; }

/// A whole number in [0, 2^53], or -1.
std::int64_t natural(const Value& v) {
  if (v.kind() != Value::Kind::kInt) return -1;
  const std::int64_t n = v.as_int();
  return n >= 0 && n <= (std::int64_t{1} << 53) ? n : -1;
}

/// A mapping of the whole file, unmapped with its last owner.
std::pair<std::shared_ptr<const void>, std::size_t> mapped(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) refuse(path, std::strerror(errno));
  struct stat facts {};
  const bool regular = ::fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
  const auto size = static_cast<std::size_t>(regular ? facts.st_size : 0);
  void* at = size > 0 ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  ::close(file);
  if (!regular) refuse(path, "not a file");
  if (size == 0) refuse(path, "the file is empty");
  if (at == MAP_FAILED) refuse(path, std::strerror(errno));
  return {std::shared_ptr<const void>(at, [size](const void* p) { ::munmap(const_cast<void*>(p), size); }), size};
}

/// Bytes of a tensor, or -1 if there are too many to count.
std::int64_t size_of(const std::vector<std::int64_t>& shape, std::int64_t element) {
  std::int64_t bytes = element;
  for (const std::int64_t n : shape) {
    if (__builtin_mul_overflow(bytes, n, &bytes)) return -1;
  }
  return bytes;
}

class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::span<const std::byte> data) : file_(file), data_(data) {}

  Tensor tensor(const std::string& name, const Value& v) const {
    const auto bad = [&](const std::string& what) { refuse(file_, quoted(name) + ": " + what); };
    if (!v.is_object()) bad("expected {\"dtype\", \"shape\", \"data_offsets\"}");
    for (const Value::Member& m : v.members()) {
      if (m.first != "dtype" && m.first != "shape" && m.first != "data_offsets") bad("unknown key \"" + m.first + "\"");
    }
    const Value *dtype = v.find("dtype"), *shape = v.find("shape"), *offsets = v.find("data_offsets");
    if (dtype == nullptr || !dtype->is_string()) bad("no dtype");
    if (shape == nullptr || !shape->is_array()) bad("no shape");
    if (offsets == nullptr || !offsets->is_array() || offsets->items().size() != 2) bad("no data_offsets [begin, end]");
    const auto type =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& t) { return t.name == dtype->as_string(); });
    if (type == std::end(kTypes)) bad("unknown dtype \"" + dtype->as_string() + "\"");
    Tensor t{.dtype = dtype->as_string(), .type = type->type, .shape = {}, .bytes = {}};
    for (const Value& n : shape->items()) {
      t.shape.push_back(natural(n));
      if (t.shape.back() < 0) bad("a shape holds whole numbers from 0");
    }
    const std::int64_t begin = natural(offsets->items()[0]), end = natural(offsets->items()[1]);
    if (begin < 0 || end < begin) bad("data_offsets are not [begin, end] with 0 <= begin <= end");
    if (end > static_cast<std::int64_t>(data_.size())) {
      bad("data_offsets end at byte " + std::to_string(end) + " of " + std::to_string(data_.size()));
    }
    const std::int64_t size = size_of(t.shape, type->bytes);
    if (size != end - begin) {
      bad("a shape of " + (size < 0 ? "more bytes than there can be" : std::to_string(size) + " bytes") +
          ", data_offsets of " + std::to_string(end - begin));
    }
    t.bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    return t;
  }

 private:
  const std::string& file_;
  std::span<const std::byte> data_;
};

/// The tensors lie one after the other, from the first byte to the last.
void check_cover(const std::string& file, const std::map<std::string, Tensor, std::less<>>& tensors,
                 std::span<const std::byte> data) {
  std::vector<std::tuple<std::size_t, std::size_t, std::string_view>> parts;
  for (const auto& [name, t] : tensors) {
    const auto begin = static_cast<std::size_t>(t.bytes.data() - data.data());
    parts.emplace_back(begin, begin + t.bytes.size(), name);
  }
  std::sort(parts.begin(), parts.end());
  std::size_t at = 0;
  std::string_view before;
  for (const auto& [begin, end, name] : parts) {
    if (begin < at) refuse(file, quoted(name) + " overlaps " + quoted(before));
    if (begin > at)
      refuse(file, "bytes " + std::to_string(at) + " to " + std::to_string(begin) + " belong to no tensor");
    at = end;
    before = name;
  }
  if (at != data.size()) {
    refuse(file, "bytes " + std::to_string(at) + " to " + std::to_string(data.size()) + " belong to no tensor");
  }
}

Value header_value(const std::string& file, std::string_view text) {
  if (text.empty() || text.front() != '{') refuse(file, "the header is not a JSON object");
  try {
    return parse_json(text, file);
  } catch (const ConfigError& e) { refuse(file, "the header is not JSON: " + std::string(e.what())); }
}

}  // namespace

std::int64_t Tensor::elements() const { return size_of(shape, 1); }

SafetensorsFile::SafetensorsFile(const std::string& path) : name_(path) {
  const auto [mapping, size] = mapped(path);
  mapping_ = mapping;
  read({static_cast<const std::byte*>(mapping.get()), size});
}

SafetensorsFile::SafetensorsFile(std::string name, std::span<const std::byte> bytes) : name_(std::move(name)) {
  read(bytes);
}

void SafetensorsFile::read(std::span<const std::byte> bytes) {
  if (bytes.size() < 8) refuse(name_, std::to_string(bytes.size()) + " bytes; a safetensors file has at least 8");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  if (length > kMostHeader) {
    refuse(name_,
           "a header of " + std::to_string(length) + " bytes; at most " + std::to_string(kMostHeader) + " are allowed");
  }
  if (length > bytes.size() - 8) {
    refuse(name_, "truncated: a header of " + std::to_string(length) + " bytes, and " +
                      std::to_string(bytes.size() - 8) + " bytes in all behind its length");
  }
  const auto data = bytes.subspan(8 + static_cast<std::size_t>(length));
  const Value header =
      header_value(name_, {reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<std::size_t>(length)});
  const HeaderReader reader(name_, data);
  for (const Value::Member& m : header.members()) {
    if (m.first != "__metadata__") tensors_.emplace(m.first, reader.tensor(m.first, m.second));
  }
  check_cover(name_, tensors_, data);
}

}  // namespace orrery
