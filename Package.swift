// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target of the project is compiled with: the house style as compiler settings. Only a build that
/// asks for them by a variable contains planted bugs: see Scripts/canaries.
let house: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
  ] + (Context.environment["CONSILIUM_CANARIES"] == "1" ? [.define("CANARIES")] : [])

/// A Swift target with the house settings; `uses` names targets, `needs` products of other packages.
func target(
  _ name: String, uses: [String] = [], needs: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .target(
    name: name, dependencies: uses.map { .target(name: $0) } + needs, resources: resources, swiftSettings: house)
}

/// A test target `<Name>Tests` with the house settings.
func tests(
  _ name: String, uses: [String], needs: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: uses.map { .target(name: $0) } + needs, resources: resources,
    swiftSettings: house)
}

let package = Package(
  name: "consilium",
  products: [
    .executable(name: "consilium", targets: ["consilium"]),
    .executable(name: "consilium-sim", targets: ["ConsiliumSim"]),
    // For researchers: the simulator, scenario files, and the node's words that attackers and measurements speak.
    .library(
      name: "ConsiliumSimulator",
      targets: ["Gossip", "Laboratory", "Messages", "NodeCore", "Ordering", "Primitives", "Simulator"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
    .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
    .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
    .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/vapor/jwt-kit", exact: "5.7.1"),
  ],
  targets: [
    // Floor 0: the system's C libraries.
    .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    // Floor 1: words that all machines speak.
    target("Primitives"),
    target("Wire", uses: ["Primitives"]),
    target(
      "Signing", uses: ["CSodium", "Primitives", "Wire"],
      needs: [.product(name: "Crypto", package: "swift-crypto")]),
    target("Merkle", uses: ["Primitives", "Signing"]),
    target("Messages", uses: ["Primitives", "Signing", "Wire"]),
    target("Threshold", uses: ["Messages", "Primitives", "Signing", "Wire"]),
    target("Ordering", uses: ["Messages", "Primitives", "Signing", "Wire"]),
    target("Rules", uses: ["Messages", "Primitives"]),
    // Floor 2: machines, which never import one another.
    target("Lanes", uses: ["Messages", "Ordering", "Primitives", "Signing", "Wire"]),
    target("PBFT", uses: ["Messages", "Ordering", "Primitives", "Signing", "Wire"]),
    target("Raft", uses: ["Messages", "Ordering", "Primitives"]),
    target("Ledger", uses: ["Merkle", "Messages", "Primitives", "Rules", "Signing", "Wire"]),
    target("HealthRecords", uses: ["Merkle", "Messages", "Primitives", "Rules", "Signing", "Threshold", "Wire"]),
    target("Vaults", uses: ["Messages", "Primitives", "Signing"]),
    target("Custody", uses: ["Messages", "Primitives", "Signing", "Threshold", "Wire"]),
    target("Sessions", uses: ["Messages", "Primitives", "Signing", "Wire"]),
    target("Gossip", uses: ["Primitives", "Wire"]),
    target("Discovery", uses: ["Primitives", "Signing"]),
    // Floor 3: the node.
    target(
      "NodeCore",
      uses: [
        "Custody", "Gossip", "HealthRecords", "Lanes", "Ledger", "Messages", "Ordering", "PBFT", "Primitives", "Raft",
        "Rules", "Sessions", "Signing", "Threshold", "Wire",
      ]),
    target("FHIR", uses: ["HealthRecords", "Primitives", "Signing"]),
    target("HL7", uses: ["HealthRecords"]),
    // Floor 4: adapters to the operating system.
    target("Telemetry", uses: ["Primitives"]),
    target("EventLoop", uses: ["CUV", "Primitives"]),
    target(
      "Storage",
      uses: [
        "CLMDB", "FHIR", "HealthRecords", "Ledger", "Merkle", "Messages", "NodeCore", "Ordering", "Primitives",
        "Rules", "Signing", "Wire",
      ]),
    target(
      "ObjectStore", uses: ["HealthRecords", "Primitives", "Wire"],
      needs: [
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
      ]),
    target(
      "Gateway",
      uses: [
        "CZlib", "FHIR", "HL7", "HealthRecords", "Ledger", "Messages", "Primitives", "Rules", "Signing", "Threshold",
        "Wire",
      ],
      needs: [
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdTLS", package: "hummingbird"), .product(name: "JWTKit", package: "jwt-kit"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ], resources: [.copy("Portal")]),
    // Floor 5: the driver joins node and adapters.
    target(
      "Driver",
      uses: [
        "Custody", "Discovery", "EventLoop", "Gateway", "Gossip", "HealthRecords", "Ledger", "Merkle", "Messages",
        "NodeCore", "Ordering", "Primitives", "Rules", "Sessions", "Signing", "Storage", "Telemetry", "Threshold",
        "Vaults", "Wire",
      ]),
    // Floor 6: programs.
    .executableTarget(
      name: "consilium",
      dependencies: [
        "Custody", "Discovery", "Driver", "EventLoop", "FHIR", "Gateway", "HL7", "HealthRecords", "Ledger", "Merkle",
        "Messages", "NodeCore", "ObjectStore", "Ordering", "Primitives", "Rules", "Signing", "Storage", "Telemetry",
        "Threshold", "Vaults", "Wire",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "TOMLKit", package: "TOMLKit"),
      ], swiftSettings: house),
    // Beside: the simulator, the second driver of the same node.
    .target(
      name: "Simulator",
      dependencies: [
        "Custody", "Gossip", "HealthRecords", "Lanes", "Ledger", "Merkle", "Messages", "NodeCore", "Ordering", "PBFT",
        "Primitives", "Raft", "Rules", "Sessions", "Signing", "Threshold", "Vaults",
        "Wire",
      ], path: "Simulations/Simulator", swiftSettings: house),
    .target(
      name: "Laboratory",
      dependencies: [
        "Gossip", "HealthRecords", "Ledger", "Messages", "NodeCore", "Primitives", "Rules", "Signing", "Simulator",
        "Wire",
        .product(name: "TOMLKit", package: "TOMLKit"),
      ], path: "Simulations/Laboratory", swiftSettings: house),
    .executableTarget(
      name: "ConsiliumSim",
      dependencies: [
        "Gossip", "Laboratory", "Messages", "NodeCore", "Primitives", "Signing", "Simulator",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: house),
    // Beside: one test target a target.
    tests("Signing", uses: ["Primitives", "Signing", "Wire"]),
    tests(
      "Simulator",
      uses: [
        "Gossip", "HealthRecords", "Ledger", "Messages", "NodeCore", "PBFT", "Primitives", "Signing", "Simulator",
        "Wire",
      ]),
    tests("Primitives", uses: ["Primitives"]),
    tests("EventLoop", uses: ["EventLoop", "Primitives"]),
    tests(
      "Ledger",
      uses: [
        "HealthRecords", "Ledger", "Merkle", "Messages", "NodeCore", "Ordering", "PBFT", "Primitives", "Rules",
        "Signing", "Simulator", "Wire",
      ]),
    tests(
      "NodeCore",
      uses: [
        "HealthRecords", "Lanes", "Ledger", "Merkle", "Messages", "NodeCore", "Ordering", "PBFT", "Primitives",
        "Rules", "Signing", "Simulator", "Wire",
      ]),
    tests("Laboratory", uses: ["Laboratory", "Primitives", "Simulator"]),
    tests("Sessions", uses: ["Messages", "Primitives", "Sessions", "Signing", "Wire"]),
    tests(
      "Wire",
      uses: ["Gossip", "HealthRecords", "Ledger", "Messages", "NodeCore", "Primitives", "Signing", "Wire"]),
    tests("Telemetry", uses: ["Telemetry"]),
    tests("Gossip", uses: ["Gossip", "Primitives", "Signing"]),
    tests(
      "Gateway",
      uses: [
        "Driver", "EventLoop", "FHIR", "Gateway", "HL7", "HealthRecords", "Ledger", "Messages", "NodeCore",
        "Primitives",
        "Rules", "Signing", "Storage", "Telemetry", "Wire",
      ],
      needs: [
        .product(name: "Hummingbird", package: "hummingbird"), .product(name: "JWTKit", package: "jwt-kit"),
      ]),
    tests("ObjectStore", uses: ["ObjectStore", "Primitives"]),
    tests("FHIR", uses: ["FHIR", "HealthRecords", "Primitives"]),
    tests("HL7", uses: ["FHIR", "HL7", "HealthRecords", "Primitives"]),
    tests("Discovery", uses: ["Discovery", "Primitives", "Signing"]),
    tests(
      "HealthRecords", uses: ["HealthRecords", "Messages", "Primitives", "Rules", "Signing", "Threshold", "Wire"]),
    tests("Threshold", uses: ["Messages", "Primitives", "Signing", "Threshold", "Wire"]),
    tests("Custody", uses: ["Custody", "Messages", "Primitives", "Signing", "Threshold"]),
    tests("Vaults", uses: ["Messages", "Primitives", "Signing", "Vaults"]),
    tests(
      "Storage",
      uses: [
        "CLMDB", "FHIR", "HealthRecords", "Ledger", "Merkle", "Messages", "NodeCore", "Primitives", "Rules", "Signing",
        "Simulator", "Storage", "Wire",
      ]),
    .testTarget(
      name: "ConsiliumTests", dependencies: ["consilium", "Gateway", "Messages", "Primitives", "Signing"],
      swiftSettings: house),
    tests("Lanes", uses: ["Lanes", "Messages", "Ordering", "Primitives", "Signing", "Wire"]),
    tests("PBFT", uses: ["Messages", "Ordering", "PBFT", "Primitives", "Signing", "Wire"]),
    tests("Raft", uses: ["Messages", "Ordering", "Primitives", "Raft", "Signing", "Wire"]),
    tests("Merkle", uses: ["Merkle", "Primitives", "Signing"]),
  ]
)
