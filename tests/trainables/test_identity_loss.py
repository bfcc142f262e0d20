import torch

from trainables.identity_loss import cross_entropy

LOGITS = torch.tensor([[2, -1, 0.5, 0], [0, 3, -2, 1]], dtype=torch.float64)
IDENTITIES = torch.tensor([0, 3])


def test_cross_entropy_of_known_logits():
    by_hand = LOGITS.exp().sum(1).log() - LOGITS[torch.arange(2), IDENTITIES]
    found = cross_entropy(LOGITS, IDENTITIES)
    torch.testing.assert_close(found, by_hand)
    torch.testing.assert_close(found, torch.tensor([0.34234958, 2.17551536]).double(), atol=1e-6, rtol=0)


def test_cross_entropy_gradient():
    logits = LOGITS.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(cross_entropy(logits, IDENTITIES).sum(), logits)
    expected = torch.tensor([-0.28990008, 0.03535379, 0.15844471, 0.09610157]).double()
    torch.testing.assert_close(gradient[0], expected, atol=1e-6, rtol=0)
