internal import NIOCore

/// The addresses of this machine's own interfaces.
public enum MachineAddresses {
  /// All but loopback's and those that hold on one link only, in the order in which the system names them; none where
  /// it does not tell.
  public static var all: [String] {
    let devices: [NIONetworkDevice]
    do { devices = try System.enumerateDevices() } catch { return [] }
    var out: [String] = []
    for address in devices.compactMap({ $0.address?.ipAddress })
    where !address.hasPrefix("127.") && address != "::1" && !address.hasPrefix("fe80:") && !out.contains(address) {
      out.append(address)
    }
    return out
  }
}
