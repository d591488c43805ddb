/// What a machine did with an input: it took it, it had no use for it, or it proved somebody wrong.
///
/// `Reason` is one closed enum a machine; the driver counts each reason as a metric.
public enum Disposition<Reason: Sendable & Hashable>: Sendable, Hashable {
  /// The input changed the state or caused effects.
  case accepted
  /// The input is honest but of no use now: a duplicate, a stale view. Nothing changed.
  case ignored(Reason)
  /// No honest sender would have sent it. Nothing changed but what is kept of the evidence.
  case rejected(Reason)
}
