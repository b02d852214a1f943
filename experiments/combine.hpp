/// Several replications as one result, and how sure it is.
///
/// combined(): integers are counts and add; maxima stay maxima; truths must all be true; states and grades are the
/// worst; all other numbers are means.
///
/// spread_of(): 95 % intervals around that mean, in which two things may vary.
///   sampling      with independent replications the mean's error is s / sqrt(K); with a block bootstrap of a trace
///                 it is the standard deviation of the resamples (Efron and Tibshirani, 1993, chapter 6)
///   model error   the standard deviation of (drawn cost model - fitted one) under equal seeds. It does not shrink with
///                 the number of replications: there is one real machine, and we do not know which of the drawn it is
/// half width = t(0.975, K - 1) * sqrt(sampling^2 + model^2). A value that does not vary has no interval.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

struct Bodies {
  std::vector<Value> base, resamples;
  std::vector<Value> perturbed;  ///< perturbed[i] pairs with base[i], or with base[0] where that is all
};

struct SpreadInterval {
  double low = 0, high = 0;
  double sampling_share = 1;  ///< of the variance
};

struct Spread {
  std::string method;                               ///< "t over 5 replications; model error by 5 drawn cost models"
  std::map<std::string, SpreadInterval> intervals;  ///< by dotted key
};

Value combined(const std::vector<Value>& bodies);
Spread spread_of(const Bodies& bodies);

}  // namespace orrery
