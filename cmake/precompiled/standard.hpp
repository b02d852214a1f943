// Headers of the standard library that most files include; parsed once a folder (ORRERY_PCH). Files still include
// what they use: the presets dev and asan build without this one.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
