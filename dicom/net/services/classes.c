/* What the node accepts and how it is coded: the classes that it uses, and the further ones of the configuration. PS3.6
 * annex A. */
#include "dicom/net/services/storage.h"

#include <stddef.h>
#include <string.h>

#define STANDARD_ROOT "1.2.840.10008."

static const char *const storage_classes[] = {
    "1.2.840.10008.5.1.4.1.1.2",     /* CT Image */
    "1.2.840.10008.5.1.4.1.1.2.1",   /* Enhanced CT Image */
    "1.2.840.10008.5.1.4.1.1.2.2",   /* Legacy Converted Enhanced CT Image */
    "1.2.840.10008.5.1.4.1.1.481.3", /* RT Structure Set */
    "1.2.840.10008.5.1.4.1.1.66.4",  /* Segmentation */
    "1.2.840.10008.5.1.4.1.1.66.7",  /* Label Map Segmentation */
    "1.2.840.10008.5.1.4.1.1.88.22", /* Enhanced SR */
    "1.2.840.10008.5.1.4.1.1.88.33", /* Comprehensive SR */
    "1.2.840.10008.5.1.4.1.1.88.34", /* Comprehensive 3D SR */
    "1.2.840.10008.5.1.4.1.1.11.1",  /* Grayscale Softcopy Presentation State */
    "1.2.840.10008.5.1.4.1.1.88.59", /* Key Object Selection Document */
    NULL,
};

/* Uncompressed first: nothing to decode later; then lossless; the lossy ones last, so that a peer that offers both
 * keeps its samples. */
static const char *const transfer_syntaxes[] = {
    "1.2.840.10008.1.2.1",     /* Explicit VR Little Endian */
    "1.2.840.10008.1.2",       /* Implicit VR Little Endian */
    "1.2.840.10008.1.2.1.99",  /* Deflated Explicit VR Little Endian */
    "1.2.840.10008.1.2.5",     /* RLE Lossless */
    "1.2.840.10008.1.2.4.70",  /* JPEG Lossless, first-order prediction */
    "1.2.840.10008.1.2.4.57",  /* JPEG Lossless */
    "1.2.840.10008.1.2.4.80",  /* JPEG-LS Lossless */
    "1.2.840.10008.1.2.4.90",  /* JPEG 2000 Lossless */
    "1.2.840.10008.1.2.4.201", /* HTJ2K Lossless */
    "1.2.840.10008.1.2.4.202", /* HTJ2K Lossless RPCL */
    "1.2.840.10008.1.2.2",     /* Explicit VR Big Endian (retired) */
    "1.2.840.10008.1.2.4.81",  /* JPEG-LS Near-lossless */
    "1.2.840.10008.1.2.4.91",  /* JPEG 2000 */
    "1.2.840.10008.1.2.4.203", /* HTJ2K */
    "1.2.840.10008.1.2.4.51",  /* JPEG Extended */
    "1.2.840.10008.1.2.4.50",  /* JPEG Baseline */
    "1.2.840.10008.1.2.4.53",  /* JPEG Spectral Selection 6 & 8 (retired) */
    "1.2.840.10008.1.2.4.55",  /* JPEG Full Progression 10 & 12 (retired) */
    NULL,
};

const char *const *lvn_storage_classes(void) {
  return storage_classes;
}

const char *const *lvn_storage_transfer_syntaxes(void) {
  return transfer_syntaxes;
}

static bool is_listed(const char *const *list, const char *uid) {
  for (; *list != NULL; list++) {
    if (strcmp(*list, uid) == 0) {
      return true;
    }
  }
  return false;
}

static bool begins_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

/* PS3.6 table A-1: storage classes lie below one root, but for two of radiotherapy. */
static bool is_standard_storage(const char *uid) {
  return begins_with(uid, "1.2.840.10008.5.1.4.1.1.") || strcmp(uid, "1.2.840.10008.5.1.4.34.7") == 0 ||
         strcmp(uid, "1.2.840.10008.5.1.4.34.10") == 0;
}

bool lvn_storage_uses_class(const char *sop_class_uid) {
  return is_listed(storage_classes, sop_class_uid);
}

bool lvn_storage_stores_class(const char *sop_class_uid, const char *further_classes) {
  const char *at = further_classes != NULL ? further_classes : "";
  if (is_listed(storage_classes, sop_class_uid)) {
    return true;
  }
  while (*(at += strspn(at, ", \t")) != '\0') {
    const size_t length = strcspn(at, ", \t");
    const bool is_all = length == 3 && strncmp(at, "all", length) == 0;
    if ((length == strlen(sop_class_uid) && strncmp(at, sop_class_uid, length) == 0) ||
        ((is_all || (length == 8 && strncmp(at, "standard", length) == 0)) && is_standard_storage(sop_class_uid)) ||
        (is_all && !begins_with(sop_class_uid, STANDARD_ROOT))) {
      return true;
    }
    at += length;
  }
  return false;
}

/* Those whose data set is in explicit VR little endian, as in all of them but the deflated ones and those that are no
 * files (XML, SMPTE streams). */
static bool keeps_syntax(const char *uid) {
  return begins_with(uid, "1.2.840.10008.1.2.") && !begins_with(uid, "1.2.840.10008.1.2.6.") &&
         !begins_with(uid, "1.2.840.10008.1.2.7.") && strcmp(uid, "1.2.840.10008.1.2.4.95") != 0 &&
         strcmp(uid, "1.2.840.10008.1.2.4.205") != 0;
}

const char *lvn_storage_choose_syntax(const char *sop_class_uid, const char *const *proposed, size_t count) {
  for (const char *const *wanted = transfer_syntaxes; *wanted != NULL; wanted++) {
    for (size_t i = 0; i < count; i++) {
      if (strcmp(*wanted, proposed[i]) == 0) {
        return *wanted;
      }
    }
  }
  /* What is only kept needs nobody who decodes it: video, documents, compressions of the future. */
  for (size_t i = 0; i < count && !is_listed(storage_classes, sop_class_uid); i++) {
    if (keeps_syntax(proposed[i])) {
      return proposed[i];
    }
  }
  return NULL;
}
