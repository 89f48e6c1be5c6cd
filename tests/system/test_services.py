"""A service that only the tests have, with a stack that is not ours on the other side: actions, reports on the same
association, role selection, in both directions."""

import subprocess

import pynetdicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.service_class_n import StorageCommitmentServiceClass

import harness

FAKE_CLASS = "1.2.826.0.1.3680043.10.1200.1"
FAKE_INSTANCE = FAKE_CLASS + ".1"
ACT_REPORT_LATER = 3
PEER = harness.BIN.parent / "tests" / "dimse_peer"

pynetdicom.register_uid(FAKE_CLASS, "FakeCommitment", StorageCommitmentServiceClass)


def one_uid():
    d = Dataset()
    d.TransactionUID = "1.2.3"
    return d


def serve():
    peer = subprocess.Popen([PEER, "serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return peer, int(peer.stdout.readline())


def associate(port, scu_role, scp_role, handlers=()):
    entity = pynetdicom.AE("TESTER")
    entity.add_requested_context(FAKE_CLASS, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ext_neg=[pynetdicom.build_role(FAKE_CLASS, scu_role, scp_role)],
                            evt_handlers=list(handlers))


def finish(peer):
    text, complaint = peer.communicate(timeout=30)
    assert peer.returncode == 0, complaint
    return text


def test_an_action_is_answered_and_reported_to_a_requestor():
    reported = []

    def on_report(event):
        reported.append(event.request.EventTypeID)
        return 0x0000, None

    peer, port = serve()
    association = associate(port, True, True, [(pynetdicom.evt.EVT_N_EVENT_REPORT, on_report)])
    assert association.is_established
    context = association.accepted_contexts[0]
    assert context.as_scu and context.as_scp
    status, _ = association.send_n_action(one_uid(), ACT_REPORT_LATER, FAKE_CLASS, FAKE_INSTANCE)
    assert status.Status == 0x0000
    harness.wait_until(lambda: reported, 10, "the report")
    association.release()
    finish(peer)
    assert reported == [8]


def test_a_requestor_that_is_the_scp_reports():
    peer, port = serve()
    association = associate(port, False, True)
    assert association.is_established
    context = association.accepted_contexts[0]
    assert context.as_scp and not context.as_scu
    status, _ = association.send_n_event_report(one_uid(), 1, FAKE_CLASS, FAKE_INSTANCE)
    assert status.Status == 0x0000
    association.release()
    assert "reports 1, the last of type 1" in finish(peer)


def test_an_acceptor_is_asked_and_reports():
    def on_action(event):
        asked.append((event.request.ActionTypeID, event.action_information.TransactionUID))
        return 0x0000, None

    def on_answered(event):
        """The answer is on its way: now the report, on the same association."""
        if isinstance(event.message, pynetdicom.dimse_messages.N_ACTION_RSP):
            event.assoc.send_n_event_report(one_uid(), 5, FAKE_CLASS, FAKE_INSTANCE)

    asked = []
    entity = pynetdicom.AE("PEER")
    entity.add_supported_context(FAKE_CLASS, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[
        (pynetdicom.evt.EVT_N_ACTION, on_action), (pynetdicom.evt.EVT_DIMSE_SENT, on_answered)])
    try:
        done = subprocess.run([PEER, "ask", str(server.server_address[1])], capture_output=True, text=True,
                              timeout=60, check=False)
    finally:
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["answer 0000", "report 5"]
    assert asked == [(ACT_REPORT_LATER, "1.2.3")]
