/* The data set of a Part 10 file as a source for a message: the file's own bytes where they are in the transfer syntax
 * that was negotiated, else encoded anew in that one. Neither is held in memory as a whole, but for what DCMTK's parser
 * keeps of small elements. */
#ifndef LVN_DICOM_NET_SERVICES_OBJECT_SOURCE_H
#define LVN_DICOM_NET_SERVICES_OBJECT_SOURCE_H

#include "dicom/net/dimse/dimse.h"
#include "dicom/scan/scan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `scan` is what lvn_scan_file() said of the file. LVN_ERROR_DATA: it cannot be read, or not be encoded. */
LVN_MUST_CHECK bool lvn_object_source_open(const char *path, const struct lvn_scan *scan,
                                           const char *transfer_syntax_uid, struct lvn_dimse_source *ret_source,
                                           struct lvn_error *err);
void lvn_object_source_close(struct lvn_dimse_source *source);

#ifdef __cplusplus
}
#endif
#endif
