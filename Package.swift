// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target of the project is compiled with: the house style as compiler settings.
let house: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

/// A Swift target with the house settings; `uses` names targets, `needs` products of other packages.
func target(_ name: String, uses: [String] = [], needs: [Target.Dependency] = []) -> Target {
  .target(
    name: name, dependencies: uses.map { .target(name: $0) } + needs, exclude: [], swiftSettings: house)
}

/// A test target `<Name>Tests` with the house settings.
func tests(_ name: String, uses: [String], resources: [Resource] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: uses.map { .target(name: $0) }, resources: resources,
    swiftSettings: house)
}

let package = Package(
  name: "consilium",
  targets: [
    // Floor 0: the system's C libraries.
    .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    // Floor 1: words that all machines speak.
    target("Primitives"),
    target("Wire", uses: ["Primitives"]),
    target("Signing", uses: ["CSodium", "Primitives", "Wire"]),
    target("Merkle", uses: ["Primitives", "Signing"]),
    target("Messages", uses: ["Primitives", "Signing", "Wire"]),
    target("Ordering", uses: ["Messages", "Primitives", "Signing", "Wire"]),
    target("Rules", uses: ["Messages", "Primitives"]),
    // Floor 2: machines, which never import one another.
    target("Lanes", uses: ["Messages", "Ordering", "Primitives", "Signing", "Wire"]),
    target("PBFT", uses: ["Messages", "Ordering", "Primitives", "Signing", "Wire"]),
    target("Ledger", uses: ["Merkle", "Messages", "Primitives", "Rules", "Signing", "Wire"]),
    target("HealthRecords", uses: ["Messages", "Primitives", "Rules", "Signing", "Wire"]),
    target("Sessions", uses: ["Messages", "Primitives", "Signing", "Wire"]),
    // Beside: one test target a target.
    tests("Signing", uses: ["Primitives", "Signing", "Wire"]),
    tests("Merkle", uses: ["Merkle", "Primitives", "Signing"]),
  ]
)
