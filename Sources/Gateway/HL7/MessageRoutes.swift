internal import Foundation
internal import HL7
internal import Hummingbird

/// The messages that wait for a person, on the node's own socket.
extension Gateway {
  func addMessageRoutes(to router: Router<BasicRequestContext>) {
    @Sendable func desk() throws -> MessageDesk {
      guard let desk = self.messages else { throw ServiceRefusal.notFound("port for HL7 v2 (hl7_port)") }
      return desk
    }
    @Sendable func id(_ context: BasicRequestContext) throws -> String {
      guard let id = context.parameters.get("id") else { throw ServiceRefusal.badRequest("a name is expected") }
      return id
    }
    router.get("/v1/hl7/queue") { _, _ in try json(try await desk().queue()) }
    router.get("/v1/hl7/queue/{id}") { _, context in try json(try await desk().show(try id(context))) }
    router.post("/v1/hl7/queue/{id}/replay") { request, context in
      let corrected = try await body(request, max: HL7Limits.bytesMax)
      return try json(try await desk().replay(try id(context), as: corrected.isEmpty ? nil : corrected))
    }
    router.delete("/v1/hl7/queue/{id}") { _, context in try json(try await desk().drop(try id(context))) }
  }
}
