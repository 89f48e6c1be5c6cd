/* What the node accepts: a closed list (no promiscuous mode), and how it is coded. PS3.6 annex A. */
#include "dicom/net/association.h"

#include <stddef.h>

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

const char *const *lvn_association_storage_classes(void) {
  return storage_classes;
}

const char *const *lvn_association_transfer_syntaxes(void) {
  return transfer_syntaxes;
}
