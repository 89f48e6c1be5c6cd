// Turns every C++ exception at the C seam into a struct lvn_error. Every exported function of a *_dcmtk.cc or
// *_torch.cc file is one call of lvn_guard(), so that no exception can reach a C frame.
#ifndef LVN_BASE_GUARD_HH
#define LVN_BASE_GUARD_HH

#include "base/error.h"

#include <exception>
#include <new>

template <typename Body> bool lvn_guard(struct lvn_error *err, enum lvn_error_code code, Body &&body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
  } catch (const std::exception &e) {
    return lvn_error_set(err, code, "%s", e.what());
  } catch (...) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "unknown exception");
  }
}

#endif
