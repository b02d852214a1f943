/// A safetensors file, read without copying: eight bytes with the length of a JSON header, little endian; the header,
/// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {...}}; then the tensors' bytes. The
/// file stays mapped while the object lives; tensors are views into it.
///
///   const SafetensorsFile file("model.safetensors");
///   const Tensor& t = file.tensors().at("lm_head.weight");     // t.dtype, t.shape, t.bytes
///
/// Throws ConfigError `FILE: reason` for whatever is malformed: the file too short, a header longer than the file or
/// than 100 MB, no JSON, an unknown dtype, sizes that do not fit the shape, offsets that leave the data, overlap or
/// leave holes. The format's own rules (huggingface/safetensors, README, "Format").
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

enum class TensorType : std::uint8_t { kF32, kF16, kBf16, kOther };   ///< kOther: of the format, but not readable here

struct Tensor {
  std::string dtype;                    ///< as the file says
  TensorType type = TensorType::kOther;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::int64_t elements() const;
};

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);
  /// `bytes` must outlive the object; `name` is for messages.
  SafetensorsFile(std::string name, std::span<const std::byte> bytes);

  const std::string& name() const { return name_; }
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }

 private:
  void read(std::span<const std::byte> bytes);

  std::string name_;
  std::shared_ptr<const void> mapping_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace orrery
