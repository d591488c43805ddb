internal import ArgumentParser
internal import AsyncHTTPClient
internal import TOMLKit

@main struct Consilium: ParsableCommand {}
