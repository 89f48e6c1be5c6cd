/* Upper-layer PDUs made by hand (PS3.8 9.3), and a peer that sends them: the tests need peers that no library would be.
 * All fields are big endian, but the command set (implicit VR little endian, PS3.7 6.3.1). */
#ifndef LVN_TESTS_PDU_BYTES_H
#define LVN_TESTS_PDU_BYTES_H

#include "dicom_bytes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

enum pdu_type {
  PDU_NONE = 0, /* the connection ended, or was silent for too long */
  PDU_ASSOCIATE_RQ = 1,
  PDU_ASSOCIATE_AC = 2,
  PDU_ASSOCIATE_RJ = 3,
  PDU_DATA = 4,
  PDU_RELEASE_RQ = 5,
  PDU_RELEASE_RP = 6,
  PDU_ABORT = 7
};

enum { PDV_COMMAND = 1, PDV_LAST = 2 };

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"
#define EXPLICIT_LITTLE "1.2.840.10008.1.2.1"
#define IMPLICIT_LITTLE "1.2.840.10008.1.2"

static inline void put_big16(struct bytes *b, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)(value >> 8), (uint8_t)value};
  put_raw(b, raw, 2);
}

static inline void put_big32(struct bytes *b, uint32_t value) {
  put_big16(b, value >> 16);
  put_big16(b, value & 0xFFFFu);
}

static inline void put_item(struct bytes *b, uint8_t type, const void *value, size_t length) {
  const uint8_t head[2] = {type, 0};
  put_raw(b, head, 2);
  put_big16(b, (unsigned)length);
  put_raw(b, value, length);
}

static inline void put_pdu(struct bytes *b, uint8_t type, const struct bytes *body) {
  const uint8_t head[2] = {type, 0};
  put_raw(b, head, 2);
  put_big32(b, (uint32_t)body->count);
  put_raw(b, body->data, body->count);
}

/* `syntaxes` is NULL-terminated. */
static inline void put_context(struct bytes *b, uint8_t id, const char *class_uid, const char *const *syntaxes) {
  struct bytes item = {0};
  const uint8_t head[4] = {id, 0, 0, 0};
  put_raw(&item, head, sizeof head);
  put_item(&item, 0x30, class_uid, strlen(class_uid));
  for (; *syntaxes != NULL; syntaxes++) {
    put_item(&item, 0x40, *syntaxes, strlen(*syntaxes));
  }
  put_item(b, 0x20, item.data, item.count);
  lvn_free(item.data);
}

/* A-ASSOCIATE-RQ with the presentation context items that were put into `contexts`, and further user information. */
static inline void put_associate_with(struct bytes *b, const struct bytes *contexts, const struct bytes *more) {
  struct bytes body = {0};
  struct bytes user = {0};
  char titles[33];
  const uint8_t zero[32] = {0};
  static const char application[] = "1.2.840.10008.3.1.1.1";
  static const char implementation[] = "1.2.3.4.5";
  (void)snprintf(titles, sizeof titles, "%-16s%-16s", "NODE", "TESTER");
  put_big16(&body, 1);
  put_big16(&body, 0);
  put_raw(&body, titles, 32);
  put_raw(&body, zero, 32);
  put_item(&body, 0x10, application, strlen(application));
  put_raw(&body, contexts->data, contexts->count);
  const uint8_t length_max[4] = {0, 1, 0, 0};
  put_item(&user, 0x51, length_max, 4);
  put_item(&user, 0x52, implementation, strlen(implementation));
  if (more != NULL) {
    put_raw(&user, more->data, more->count);
  }
  put_item(&body, 0x50, user.data, user.count);
  put_pdu(b, PDU_ASSOCIATE_RQ, &body);
  lvn_free(body.data);
  lvn_free(user.data);
}

static inline void put_associate(struct bytes *b, const struct bytes *contexts) {
  put_associate_with(b, contexts, NULL);
}

static inline void put_command_element(struct bytes *b, unsigned element, const void *value, size_t length) {
  put_tag(b, element);
  put_u32(b, (uint32_t)(length + (length & 1)));
  put_raw(b, value, length);
  put_raw(b, "", length & 1);
}

static inline void put_command_u16(struct bytes *b, unsigned element, unsigned value) {
  const uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  put_command_element(b, element, raw, 2);
}

static inline void put_store_command(struct bytes *b, const char *class_uid, const char *instance_uid) {
  struct bytes rest = {0};
  put_command_element(&rest, 0x0002, class_uid, strlen(class_uid));
  put_command_u16(&rest, 0x0100, 0x0001);
  put_command_u16(&rest, 0x0110, 7);
  put_command_u16(&rest, 0x0700, 0);
  put_command_u16(&rest, 0x0800, 0x0102);
  put_command_element(&rest, 0x1000, instance_uid, strlen(instance_uid));
  const uint8_t length[4] = {(uint8_t)rest.count, (uint8_t)(rest.count >> 8), 0, 0};
  put_command_element(b, 0x0000, length, 4);
  put_raw(b, rest.data, rest.count);
  lvn_free(rest.data);
}

static inline int peer_connect(uint16_t port) {
  const int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    (void)close(fd);
    return -1;
  }
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/* False when the other side has closed. */
static inline bool peer_send(int fd, const void *data, size_t count) {
  const uint8_t *at = data;
  while (count > 0) {
    ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    at += sent;
    count -= (size_t)sent;
  }
  return true;
}

static inline bool peer_send_bytes(int fd, struct bytes *taken) {
  bool good = peer_send(fd, taken->data, taken->count);
  lvn_free(taken->data);
  *taken = (struct bytes){0};
  return good;
}

/* Into the body of a P-DATA PDU. */
static inline void put_pdv(struct bytes *b, uint8_t context, uint8_t flags, const void *data, size_t count) {
  const uint8_t head[2] = {context, flags};
  put_big32(b, (uint32_t)count + 2);
  put_raw(b, head, sizeof head);
  put_raw(b, data, count);
}

/* One P-DATA PDU with one PDV. */
static inline bool peer_send_pdv(int fd, uint8_t context, uint8_t flags, const void *data, size_t count) {
  uint8_t head[12] = {PDU_DATA, 0, 0, 0, 0, 0, 0, 0, 0, 0, context, flags};
  uint32_t pdu_length = htonl((uint32_t)count + 6);
  uint32_t pdv_length = htonl((uint32_t)count + 2);
  memcpy(head + 2, &pdu_length, 4);
  memcpy(head + 6, &pdv_length, 4);
  return peer_send(fd, head, sizeof head) && peer_send(fd, data, count);
}

static inline bool peer_receive(int fd, void *ret_data, size_t count, int wait_ms) {
  uint8_t *at = ret_data;
  while (count > 0) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, wait_ms) <= 0) {
      return false;
    }
    ssize_t received = recv(fd, at, count, 0);
    if (received <= 0) {
      return false;
    }
    at += received;
    count -= (size_t)received;
  }
  return true;
}

/* The type of the next PDU, its body in *ret_body (cut to its capacity). */
static inline enum pdu_type peer_receive_pdu(int fd, uint8_t *ret_body, size_t capacity, size_t *ret_count,
                                             int wait_ms) {
  uint8_t head[6];
  uint32_t length = 0;
  *ret_count = 0;
  if (!peer_receive(fd, head, sizeof head, wait_ms)) {
    return PDU_NONE;
  }
  memcpy(&length, head + 2, 4);
  *ret_count = ntohl(length);
  if (*ret_count > capacity || !peer_receive(fd, ret_body, *ret_count, wait_ms)) {
    return PDU_NONE;
  }
  return (enum pdu_type)head[0];
}

/* A 16-bit element of the command set that a P-DATA body holds; -1: it is not there. */
static inline int find_command_u16(const uint8_t *body, size_t count, unsigned element) {
  size_t at = 6;
  while (at + 10 <= count) {
    size_t length = body[at + 4] | (size_t)body[at + 5] << 8;
    if (body[at + 2] == (uint8_t)element && body[at + 3] == (uint8_t)(element >> 8)) {
      return body[at + 8] | body[at + 9] << 8;
    }
    at += 8 + length;
  }
  return -1;
}

#endif
