/* The verification service (C-ECHO), as its SCP. Source: PS3.4 annex A. */
#ifndef LVN_DICOM_NET_SERVICES_VERIFICATION_H
#define LVN_DICOM_NET_SERVICES_VERIFICATION_H

#include "dicom/net/dimse/dimse.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_VERIFICATION_CLASS "1.2.840.10008.1.1"

/* The row of the service table. */
struct lvn_dimse_service lvn_verification_service(void);

#ifdef __cplusplus
}
#endif
#endif
