"""An archive by pynetdicom that is asked to promise what it stores, and behaves as real ones do: it reports on the
association of the request or on one of its own, late, twice, in part, wrongly or never; or it asks the node itself."""

import threading
import time

import harness
import pynetdicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

AET = "ARCHIVE"
CLASS = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def information(transaction, kept, failed=()):
    """What an N-EVENT-REPORT says: (class, instance) kept, (class, instance, reason) failed."""
    d = Dataset()
    d.TransactionUID = transaction
    if kept:
        d.ReferencedSOPSequence = [reference(*item) for item in kept]
    if failed:
        d.FailedSOPSequence = [reference(*item) for item in failed]
    return d


def reference(sop_class, instance, reason=None):
    d = Dataset()
    d.ReferencedSOPClassUID = sop_class
    d.ReferencedSOPInstanceUID = instance
    if reason is not None:
        d.FailureReason = reason
    return d


def report(port, transaction, kept, failed=(), calling=AET, event_type=None, instance=INSTANCE):
    """The status that the node answers on a new association, on which the caller is the SCP."""
    entity = pynetdicom.AE(calling)
    entity.add_requested_context(CLASS, SYNTAXES)
    association = entity.associate("127.0.0.1", port, ae_title=harness.NODE_AET,
                                   ext_neg=[pynetdicom.build_role(CLASS, scp_role=True)])
    if not association.is_established:
        return None
    assert association.accepted_contexts[0].as_scp
    status, _ = association.send_n_event_report(information(transaction, kept, failed),
                                                event_type or (2 if failed else 1), CLASS, instance)
    association.release()
    return status.get("Status")


class Archive:
    """`behave(archive, transaction, references)` runs beside, once a request was answered with `status`; what it
    returns, if anything, is reported on the association of the request as (kept, failed)."""

    def __init__(self, node_port, behave, port=None, status=0x0000):
        self.node_port, self.behave, self.status = node_port, behave, status
        self.port = port or harness.free_port()
        self.stored, self.requests, self.answers = [], [], []
        self.by_association = {}
        self.has_lost = False
        self.server = None

    def start(self):
        entity = pynetdicom.AE(AET)
        entity.supported_contexts = pynetdicom.StoragePresentationContexts
        entity.add_supported_context("1.2.840.10008.1.1")
        entity.add_supported_context(CLASS, SYNTAXES)
        entity.require_called_aet = False
        evt = pynetdicom.evt
        self.server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[
            (evt.EVT_C_STORE, self.on_store), (evt.EVT_N_ACTION, self.on_action), (evt.EVT_DIMSE_SENT, self.on_sent)])
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server = None

    def on_store(self, event):
        request = event.request
        self.stored.append((str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)))
        return 0x0000

    def on_action(self, event):
        d = event.action_information
        references = [(str(r.ReferencedSOPClassUID), str(r.ReferencedSOPInstanceUID)) for r in d.ReferencedSOPSequence]
        self.requests.append((str(d.TransactionUID), references))
        self.by_association[event.assoc] = self.requests[-1]
        return self.status, None

    def on_sent(self, event):
        if not isinstance(event.message, pynetdicom.dimse_messages.N_ACTION_RSP) or event.assoc not in self.by_association:
            return
        transaction, references = self.by_association.pop(event.assoc)
        threading.Thread(target=self.follow, args=(event.assoc, transaction, references), daemon=True).start()

    def follow(self, association, transaction, references):
        said = self.behave(self, transaction, references)
        if said is not None:
            status, _ = association.send_n_event_report(information(transaction, *said), 2 if said[1] else 1, CLASS,
                                                        INSTANCE)
            self.answers.append(status.get("Status"))

    def report(self, transaction, kept, failed=(), **options):
        status = report(self.node_port, transaction, kept, failed, **options)
        self.answers.append(status)
        return status


# ---- ways to behave ----

def on_the_same(archive, transaction, references):
    return references, ()


def on_a_new_one(archive, transaction, references):
    archive.report(transaction, references)


def late(archive, transaction, references):
    time.sleep(1.2)
    archive.report(transaction, references)


def twice(archive, transaction, references):
    archive.report(transaction, references)
    archive.report(transaction, references)


def silent(archive, transaction, references):
    pass


def lying(archive, transaction, references):
    """Of other objects, of other classes, under another transaction: nothing of it is a promise."""
    archive.report(transaction, [(sop_class, generate_uid()) for sop_class, _ in references])
    archive.report(generate_uid(), references)


def forgetful(archive, transaction, references):
    """The first time it has lost what it acknowledged."""
    is_first, archive.has_lost = not archive.has_lost, True
    if is_first:
        archive.report(transaction, references[1:], [(*references[0], 0x0112)])
    else:
        archive.report(transaction, references)


def ask(port, references, calling=AET, stay_seconds=0, action_type=1, instance=INSTANCE):
    """The node is asked; (status, reports that came on the same association, transaction)."""
    reports = []

    def on_report(event):
        reports.append(event.event_information)
        return 0x0000, None

    entity = pynetdicom.AE(calling)
    entity.add_requested_context(CLASS, SYNTAXES)
    association = entity.associate("127.0.0.1", port, ae_title=harness.NODE_AET,
                                   ext_neg=[pynetdicom.build_role(CLASS, scu_role=True, scp_role=False)],
                                   evt_handlers=[(pynetdicom.evt.EVT_N_EVENT_REPORT, on_report)])
    assert association.is_established and association.accepted_contexts, "the node refuses storage commitment"
    d = Dataset()
    d.TransactionUID = generate_uid()
    d.ReferencedSOPSequence = [reference(*item) for item in references]
    status, _ = association.send_n_action(d, action_type, CLASS, instance)
    until = time.monotonic() + stay_seconds
    while time.monotonic() < until and not reports:
        time.sleep(0.02)
    association.release()
    return status.get("Status"), reports, str(d.TransactionUID)


class Listener:
    """Takes the node's reports on associations that it opens."""

    def __init__(self, port, aet=AET):
        self.reports = []
        entity = pynetdicom.AE(aet)
        entity.add_supported_context(CLASS, SYNTAXES, scu_role=True, scp_role=True)
        self.server = entity.start_server(("127.0.0.1", port), block=False,
                                          evt_handlers=[(pynetdicom.evt.EVT_N_EVENT_REPORT, self.on_report)])

    def on_report(self, event):
        self.reports.append((event.request.EventTypeID, event.event_information))
        return 0x0000, None

    def stop(self):
        self.server.shutdown()


def failures(d):
    return {str(r.ReferencedSOPInstanceUID): int(r.FailureReason) for r in d.get("FailedSOPSequence", [])}


def promises(d):
    return [(str(r.ReferencedSOPClassUID), str(r.ReferencedSOPInstanceUID)) for r in d.get("ReferencedSOPSequence", [])]
