// Work on independent objects, shared out between threads.
#ifndef LVN_DICOM_READ_PARALLEL_HH
#define LVN_DICOM_READ_PARALLEL_HH

#include "base/error.h"
#include "base/guard.hh"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace lvn {

// As many as there are cores; OMP_NUM_THREADS is the operator's word, as it is for the alignment. Each holds one
// decoded object, which bounds how many are of use.
inline unsigned reading_threads() {
  constexpr unsigned threads_max = 8;
  const char *text = std::getenv("OMP_NUM_THREADS");
  const unsigned long asked = text != nullptr ? std::strtoul(text, nullptr, 10) : 0;
  const unsigned long count = asked > 0 ? asked : std::thread::hardware_concurrency();
  return static_cast<unsigned>(std::min(std::max(count, 1UL), static_cast<unsigned long>(threads_max)));
}

// work(state, i, err) for each i below `count`, with a state of its own for each thread. False with the error of the
// lowest i that failed among those that were tried, so that one thread and many say the same of one bad object.
template <typename State, typename Work> bool in_parallel(size_t count, Work work, lvn_error *err) {
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed{SIZE_MAX};
  std::mutex guarded;
  lvn_error first{};
  const auto run = [&] {
    State state{};
    for (size_t i = next++; i < count && i < failed; i = next++) {
      lvn_error problem{};
      if (lvn_guard(&problem, LVN_ERROR_DATA, [&] { return work(state, i, &problem); })) {
        continue;
      }
      const std::lock_guard<std::mutex> lock(guarded);
      if (i < failed) {
        failed = i;
        first = problem;
      }
    }
  };
  std::vector<std::thread> others;
  const size_t threads = std::min<size_t>(reading_threads(), count);
  try {
    while (others.size() + 1 < threads) {
      others.emplace_back(run);
    }
  } catch (const std::system_error &) { // no further thread is to be had: the work is done all the same
  }
  run();
  for (std::thread &other : others) {
    other.join();
  }
  if (failed != SIZE_MAX) {
    *err = first;
    return false;
  }
  return true;
}

} // namespace lvn

#endif
