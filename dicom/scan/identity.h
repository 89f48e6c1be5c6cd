/* Who wrote a file: the implementation identity in the meta header of every Part 10 file of this node (PS3.10 7.1).
 * Never changed: the header's bytes are part of the SHA-256 that names a stored object, so another value would make
 * every object that is sent again a new one. */
#ifndef LVN_DICOM_SCAN_IDENTITY_H
#define LVN_DICOM_SCAN_IDENTITY_H

#define LVN_IMPLEMENTATION_CLASS_UID "2.25.206937406283719843047361594227862108455"
#define LVN_IMPLEMENTATION_VERSION_NAME "LIVERVLM_1"

#endif
