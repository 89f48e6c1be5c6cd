/* A transport layer as TLS will be one: a handshake of several steps in each direction, bytes that nobody can read who
 * does not know it, and a goodbye. */
#ifndef LVN_TESTS_XOR_LAYER_H
#define LVN_TESTS_XOR_LAYER_H

#include "dicom/net/transport/transport.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define XOR_HANDSHAKE_BYTES 4U
#define XOR_KEY 0xA5U

struct xor_state {
  size_t sent;
  size_t received;
};

static inline bool xor_open(void *context, int socket_fd, bool is_acceptor, void **ret_state, struct lvn_error *err) {
  (void)context;
  (void)socket_fd;
  (void)is_acceptor;
  *ret_state = calloc(1, sizeof(struct xor_state)); /* allow: freed by xor_close() */
  return *ret_state != NULL || lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
}

/* Each side sends its bytes, one by one, and waits for the other's. */
static inline ssize_t xor_handshake(void *state, int socket_fd, struct lvn_error *err) {
  struct xor_state * xor = state;
  uint8_t byte = 0;
  while (xor->sent < XOR_HANDSHAKE_BYTES) {
    byte = (uint8_t)('a' + xor->sent);
    if (send(socket_fd, &byte, 1, MSG_NOSIGNAL) != 1) {
      return LVN_TRANSPORT_WANTS_WRITE;
    }
    xor->sent++;
  }
  while (xor->received < XOR_HANDSHAKE_BYTES) {
    ssize_t count = recv(socket_fd, &byte, 1, 0);
    if (count < 0 && errno == EAGAIN) {
      return LVN_TRANSPORT_WANTS_READ;
    }
    if (count != 1 || byte != 'a' + xor->received) {
      (void)lvn_error_set(err, LVN_ERROR_PROTOCOL, "the peer does not know the layer");
      return LVN_TRANSPORT_FAILED;
    }
    xor->received++;
  }
  return 0;
}

static inline ssize_t xor_read(void *state, int socket_fd, void *bytes, size_t capacity) {
  (void)state;
  ssize_t count = recv(socket_fd, bytes, capacity, 0);
  for (ssize_t i = 0; i < count; i++) {
    ((uint8_t *)bytes)[i] ^= XOR_KEY;
  }
  return count >= 0 ? count : errno == EAGAIN ? LVN_TRANSPORT_WANTS_READ : LVN_TRANSPORT_FAILED;
}

static inline ssize_t xor_write(void *state, int socket_fd, const void *bytes, size_t count) {
  uint8_t coded[1000];
  const size_t part = count < sizeof coded ? count : sizeof coded;
  (void)state;
  for (size_t i = 0; i < part; i++) {
    coded[i] = ((const uint8_t *)bytes)[i] ^ XOR_KEY;
  }
  ssize_t sent = send(socket_fd, coded, part, MSG_NOSIGNAL);
  return sent >= 0 ? sent : errno == EAGAIN ? LVN_TRANSPORT_WANTS_WRITE : LVN_TRANSPORT_FAILED;
}

static inline void xor_close(void *state) {
  free(state); /* allow: of xor_open() */
}

static const struct lvn_transport_layer xor_layer = {
    .open = xor_open, .handshake = xor_handshake, .read = xor_read, .write = xor_write, .close = xor_close};

#endif
