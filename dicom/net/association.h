/* One DICOM association served to its end (Verification and Storage SCP). The DCMTK side is association_dcmtk.cc.
 * Runs in a process of its own per connection: a hostile or broken peer costs one association. Bit-preserving: the data
 * set is handed on as received, never parsed by DCMTK. Source: PS3.4 annex B, PS3.7 9.1, PS3.8 9. */
#ifndef LVN_DICOM_NET_ASSOCIATION_H
#define LVN_DICOM_NET_ASSOCIATION_H

#include "base/error.h"
#include "base/sha256.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* DIMSE status values of C-STORE (PS3.4 table B.2-1). */
enum lvn_store_status {
  LVN_STORE_SUCCESS = 0x0000,
  LVN_STORE_OUT_OF_RESOURCES = 0xA700,
  LVN_STORE_DATASET_MISMATCH = 0xA900,
  LVN_STORE_CANNOT_UNDERSTAND = 0xC000
};

struct lvn_association_limits {
  uint32_t max_pdu_bytes;
  uint64_t max_object_bytes;
  uint32_t max_objects;
  unsigned negotiate_seconds; /* from accept() to the end of negotiation (ARTIM), enforced against dripping peers too */
  unsigned idle_seconds;      /* between two DIMSE commands, and between two PDUs */
  unsigned total_seconds;
  /* Borrowed: storage classes that are accepted beside those that the node uses; see lvn_association_stores_class(). */
  const char *further_classes;
};

struct lvn_association_peer { /* borrowed */
  const char *calling_aet;
  const char *called_aet;
  const char *address; /* numeric; no reverse DNS is ever made */
};

struct lvn_association_object { /* borrowed; describes the C-STORE-RQ */
  const char *sop_class_uid;
  const char *sop_instance_uid;
  const char *transfer_syntax_uid;
};

enum lvn_admission {
  LVN_ADMIT,
  LVN_REJECT_CALLING_AET, /* A-ASSOCIATE-RJ permanent, calling AE title not recognised */
  LVN_REJECT_CALLED_AET,  /* permanent, called AE title not recognised */
  LVN_REJECT_BUSY         /* transient, local limit exceeded */
};

/* How a data set came to its end. */
enum lvn_association_end {
  LVN_END_WHOLE,
  LVN_END_CUT_OFF,    /* no answer is sent */
  LVN_END_TOO_LARGE,  /* larger than max_object_bytes */
  LVN_END_OTHER_CLASS /* its SOP class is not that of its presentation context */
};

/* Called on the serving thread. The order for one object: begin, data…, end. */
struct lvn_association_handler {
  void *user_data;
  enum lvn_admission (*admit)(void *user_data, const struct lvn_association_peer *peer);
  /* Returns a status: anything but success swallows the data set and answers that status. */
  uint16_t (*begin)(void *user_data, const struct lvn_association_object *object);
  /* A failed write is remembered by the handler and answered by end(); the rest of the data set is still received. */
  void (*data)(void *user_data, const void *bytes, size_t count);
  /* Returns the status that is answered. Unless it is whole, everything of the data set must be removed. */
  uint16_t (*end)(void *user_data, enum lvn_association_end how);
  /* Once, when the peer sends more than max_objects: this one and each further one is answered with
   * LVN_STORE_OUT_OF_RESOURCES, without begin. */
  void (*limit_reached)(void *user_data);
  /* Why the last begin() or end() returned no success, for the Error Comment; may be NULL, or return NULL. */
  const char *(*explain)(void *user_data);
};

/* Serve `socket_fd` until release, abort, a limit or an error. Takes ownership of it in every case. Verification is
 * always accepted; a storage class as lvn_association_stores_class() says, in the transfer syntax that
 * lvn_association_choose_syntax() takes of those proposed. */
LVN_MUST_CHECK bool lvn_association_serve(int socket_fd, const struct lvn_association_limits *limits,
                                          const struct lvn_association_handler *handler, struct lvn_error *err);

/* The storage SOP classes that the node accepts: NULL-terminated. */
const char *const *lvn_association_storage_classes(void);
/* One of them? */
LVN_MUST_CHECK bool lvn_association_uses_class(const char *sop_class_uid);
/* One of them, or one of `further_classes` (NULL: none): UIDs separated by commas or blanks, "standard" for every
 * storage class of the standard, "all" for private classes too. */
LVN_MUST_CHECK bool lvn_association_stores_class(const char *sop_class_uid, const char *further_classes);
/* The most preferred of the proposed transfer syntaxes, for a class that is only kept any in which the data set can be
 * scanned; NULL: none. Points to a constant or into `proposed`. */
const char *lvn_association_choose_syntax(const char *sop_class_uid, const char *const *proposed, size_t count);
/* The transfer syntaxes that the node accepts, in order of preference: NULL-terminated. */
const char *const *lvn_association_transfer_syntaxes(void);

#ifdef __cplusplus
}
#endif
#endif
