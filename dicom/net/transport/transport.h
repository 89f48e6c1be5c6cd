/* One TCP connection, called or accepted, on which every wait has an end: DCMTK bounds the wait for the next byte,
 * never the time to a whole PDU or handshake, so a dripping peer would hold its process or thread for ever. The time
 * limits are absolute and looked at before every system call; one that has passed shuts the socket down, so that
 * whoever uses the connection unwinds by its ordinary error paths. What the bytes go through is a layer: none (plain
 * TCP), or TLS. Belongs to one thread at a time. */
#ifndef LVN_DICOM_NET_TRANSPORT_TRANSPORT_H
#define LVN_DICOM_NET_TRANSPORT_TRANSPORT_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a layer's functions return instead of a number of bytes. */
enum { LVN_TRANSPORT_FAILED = -1, LVN_TRANSPORT_WANTS_READ = -2, LVN_TRANSPORT_WANTS_WRITE = -3 };

/* Over a connected, non-blocking socket: no function waits. One that cannot go on says for what it would have to wait,
 * and is called again with the same arguments when the socket is ready. Only read and write must be there. A layer may
 * serve several connections, and processes after a fork. */
struct lvn_transport_layer {
  void *context; /* borrowed; what connections share, such as keys */
  bool (*open)(void *context, int socket_fd, bool is_acceptor, void **ret_state, struct lvn_error *err);
  ssize_t (*handshake)(void *state, int socket_fd, struct lvn_error *err);   /* 0: done; FAILED sets `err` */
  ssize_t (*read)(void *state, int socket_fd, void *bytes, size_t capacity); /* 0: the peer has ended the stream */
  ssize_t (*write)(void *state, int socket_fd, const void *bytes, size_t count);
  /* As read, of one byte that stays: what the socket shows may be the layer's own, and what it does not show may have
   * been read before. NULL: what the socket shows is the peer's. */
  ssize_t (*look)(void *state, int socket_fd);
  void (*close)(void *state); /* says goodbye if it can at once, and frees the state */
};

struct lvn_transport;

/* `socket_fd` is taken, in case of failure too. `layer` (borrowed) NULL: plain TCP. No time limit is set. */
LVN_MUST_CHECK bool lvn_transport_open(int socket_fd, bool is_acceptor, const struct lvn_transport_layer *layer,
                                       struct lvn_transport **ret_transport, struct lvn_error *err);
/* The layer's handshake, within the time limits; once, before the first byte. */
LVN_MUST_CHECK bool lvn_transport_handshake(struct lvn_transport *transport, struct lvn_error *err);

/* Everything on this connection ends so many seconds from now; 0: no such limit. */
void lvn_transport_set_end(struct lvn_transport *transport, double seconds);
/* What is done until end_wait() is waiting for the peer, and ends so many seconds from now. */
void lvn_transport_start_wait(struct lvn_transport *transport, double seconds);
void lvn_transport_end_wait(struct lvn_transport *transport);
/* Was a transfer or the connection cut by a time limit? */
bool lvn_transport_is_late(const struct lvn_transport *transport);

/* Can be read from within so many seconds (0: now) and within the time limits? Also true when the peer has closed. */
LVN_MUST_CHECK bool lvn_transport_wait(struct lvn_transport *transport, double seconds);
/* At least one byte; 0: the peer has ended the stream; -1 with errno: failed or too late. */
LVN_MUST_CHECK ssize_t lvn_transport_read(struct lvn_transport *transport, void *bytes, size_t capacity);
/* All of it; else errno says why. */
LVN_MUST_CHECK bool lvn_transport_write(struct lvn_transport *transport, const void *bytes, size_t count);

/* Numeric address of the other end; IPv4-mapped addresses as IPv4. Empty when unknown. */
void lvn_transport_get_address(const struct lvn_transport *transport, char *ret_address, size_t address_bytes);

/* End the connection; what is called afterwards fails. */
void lvn_transport_close(struct lvn_transport *transport);
void lvn_transport_destroy(struct lvn_transport *transport); /* closes; NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
