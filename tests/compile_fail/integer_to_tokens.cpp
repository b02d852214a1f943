// A number becomes a count only where its unit is written.
// expect: conversion from .int. to non-scalar type|no viable conversion
#include "sim/base/units.hpp"

using namespace orrery;

#ifdef MUST_NOT_COMPILE
Tokens n = 7;
#else
Tokens n{7};
#endif
