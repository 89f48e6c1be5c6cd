#include "daemon/receiver/slots.h"

#include "base/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

struct lvn_slots {
  _Atomic uint64_t *peers; /* digest of the peer's name; 0: nobody yet */
  size_t count;
};

/* FNV-1a. Two peers whose names collide would share their places: harmless, and one in 2^63. */
static uint64_t digest_of(const char *text) {
  uint64_t digest = UINT64_C(0xcbf29ce484222325);
  for (; *text != '\0'; text++) {
    digest = (digest ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
  }
  return digest | 1U;
}

bool lvn_slots_create(size_t count, struct lvn_slots **ret_slots, struct lvn_error *err) {
  struct lvn_slots *slots = lvn_alloc(1, sizeof *slots, err);
  if (slots == NULL) {
    return false;
  }
  void *memory = mmap(NULL, count * sizeof *slots->peers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    lvn_free(slots);
    return lvn_error_set_errno(err, errno, "cannot share memory with the associations");
  }
  slots->peers = memory;
  slots->count = count;
  *ret_slots = slots;
  return true;
}

void lvn_slots_destroy(struct lvn_slots *slots) {
  if (slots != NULL) {
    (void)munmap(slots->peers, slots->count * sizeof *slots->peers);
    lvn_free(slots);
  }
}

bool lvn_slots_admit(struct lvn_slots *slots, size_t slot, const char *peer_name, size_t max_count) {
  uint64_t peer = digest_of(peer_name);
  size_t taken = 0;
  atomic_store(&slots->peers[slot], peer); /* first take, then count: of two at once at least one sees both */
  for (size_t i = 0; i < slots->count; i++) {
    taken += atomic_load(&slots->peers[i]) == peer;
  }
  if (taken > max_count) {
    atomic_store(&slots->peers[slot], 0);
    return false;
  }
  return true;
}

bool lvn_slots_is_admitted(const struct lvn_slots *slots, size_t slot) {
  return atomic_load(&slots->peers[slot]) != 0;
}

void lvn_slots_clear(struct lvn_slots *slots, size_t slot) {
  atomic_store(&slots->peers[slot], 0);
}
