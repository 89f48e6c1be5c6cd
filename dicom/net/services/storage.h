/* The storage service as its SCP: what is accepted, and the objects handed on as received, bit by bit; nothing here
 * parses a data set. Source: PS3.4 annex B, PS3.7 9.1.1. */
#ifndef LVN_DICOM_NET_SERVICES_STORAGE_H
#define LVN_DICOM_NET_SERVICES_STORAGE_H

#include "dicom/net/dimse/dimse.h"

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

struct lvn_storage_object { /* borrowed; describes the C-STORE-RQ */
  const char *sop_class_uid;
  const char *sop_instance_uid;
  const char *transfer_syntax_uid;
};

/* How a data set came to its end. */
enum lvn_storage_end {
  LVN_END_WHOLE,
  LVN_END_CUT_OFF,    /* no answer is sent */
  LVN_END_TOO_LARGE,  /* larger than max_object_bytes */
  LVN_END_OTHER_CLASS /* its SOP class is not that of its presentation context */
};

/* Called on the serving thread. The order for one object: begin, data…, end. */
struct lvn_storage_handler {
  void *user_data;
  /* Returns a status: anything but success swallows the data set and answers that status. */
  uint16_t (*begin)(void *user_data, const struct lvn_storage_object *object);
  /* A failed write is remembered by the handler and answered by end(); the rest of the data set is still received. */
  void (*data)(void *user_data, const void *bytes, size_t count);
  /* Returns the status that is answered. Unless it is whole, everything of the data set must be removed. */
  uint16_t (*end)(void *user_data, enum lvn_storage_end how);
  /* Once, when the peer sends more than max_objects: this one and each further one is answered with
   * LVN_STORE_OUT_OF_RESOURCES, without begin. */
  void (*limit_reached)(void *user_data);
  /* Why the last begin() or end() returned no success, for the Error Comment; may be NULL, or return NULL. */
  const char *(*explain)(void *user_data);
};

/* One association's; the first four are the caller's to set, the rest begins as zero. */
struct lvn_storage {
  struct lvn_storage_handler handler;
  uint64_t max_object_bytes;
  uint32_t max_objects;
  const char *further_classes; /* borrowed; as lvn_storage_stores_class() takes them */
  uint32_t object_count;
  bool is_limit_told;
};

/* The row of the service table: each class that lvn_storage_stores_class() knows, in the transfer syntax that
 * lvn_storage_choose_syntax() takes. `storage` is borrowed for the association's life. */
struct lvn_dimse_service lvn_storage_service(struct lvn_storage *storage);

/* The storage SOP classes that the node accepts: NULL-terminated. */
const char *const *lvn_storage_classes(void);
/* One of them? */
LVN_MUST_CHECK bool lvn_storage_uses_class(const char *sop_class_uid);
/* One of them, or one of `further_classes` (NULL: none): UIDs separated by commas or blanks, "standard" for every
 * storage class of the standard, "all" for private classes too. */
LVN_MUST_CHECK bool lvn_storage_stores_class(const char *sop_class_uid, const char *further_classes);
/* The most preferred of the proposed transfer syntaxes, for a class that is only kept any in which the data set can be
 * scanned; NULL: none. Points to a constant or into `proposed`. */
const char *lvn_storage_choose_syntax(const char *sop_class_uid, const char *const *proposed, size_t count);
/* The transfer syntaxes that the node accepts, in order of preference: NULL-terminated. */
const char *const *lvn_storage_transfer_syntaxes(void);

#ifdef __cplusplus
}
#endif
#endif
