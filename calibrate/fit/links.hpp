/// Fits of link times: (alpha^p + (bytes / B)^p)^(1/p) of the all-reduce and send/receive tables.
///
///   LinkFit f = fit_link(points);      // f.law, f.mape
#pragma once

#include <vector>

#include "calibrate/fit/table.hpp"
#include "hwmodels/hardware.hpp"

namespace orrery {

struct LinkPoint { double bytes, seconds; };

struct LinkFit {
  AlphaBeta law;
  double mape = 0;   ///< percent, over the points themselves (three coefficients, dozens of points)
};

LinkFit fit_link(const std::vector<LinkPoint>& points);

/// Rows of an aiconfigurator communication table: one operation and kernel (a substring), one number of devices.
std::vector<LinkPoint> link_points(const CsvTable& table, const std::string& operation, const std::string& kernel,
                                   int gpus);

}  // namespace orrery
