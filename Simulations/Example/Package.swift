// swift-tools-version: 6.2
import PackageDescription

// A package of one's own that uses the simulator; outside of this repository, name its address instead of the path.
let package = Package(
  name: "attack",
  dependencies: [.package(name: "consilium", path: "../..")],
  targets: [
    .executableTarget(name: "Attack", dependencies: [.product(name: "ConsiliumSimulator", package: "consilium")])
  ]
)
