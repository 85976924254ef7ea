import ParallaxAPI
import ParallaxHA

/// A relation that must hold between keys.
struct ConfigurationRelation: Sendable {
  /// The compared keys; a fault is reported at the first of them that is set.
  let keys: [String]
  /// Describes the violation; nil if the relation holds.
  let violation: @Sendable (NodeConfiguration) -> String?

  static let all: [ConfigurationRelation] =
    [
      ConfigurationRelation(keys: ["highAvailability.enabled", "redis.url"]) { configuration in
        guard configuration.highAvailability.enabled, !configuration.redis.isConfigured else { return nil }
        return "high availability needs a Redis that all nodes share; set redis.url, redis.sentinel.nodes or redis.cluster.nodes"
      },
      ConfigurationRelation(keys: [leaseDuration, renewDeadline]) {
        $0.highAvailability.leaderElection.leaseViolation
      },
      ConfigurationRelation(keys: [renewDeadline, retryPeriod, leaseDuration]) {
        $0.highAvailability.leaderElection.renewalViolation
      },
      ConfigurationRelation(keys: [checks + "removeAfter", checks + "checkInterval", checks + "unhealthyThreshold"]) { configuration in
        let health = configuration.highAvailability.memberHealth
        let detection = health.checkInterval * health.unhealthyThreshold
        guard health.removeAfter <= detection else { return nil }
        return "removeAfter (\(health.removeAfter.text)) must be longer than checkInterval × unhealthyThreshold (\(detection.text))"
      },
      ConfigurationRelation(keys: ["agents.heartbeatTimeout", "agents.heartbeatInterval"]) { configuration in
        let agents = configuration.agents
        guard agents.heartbeatTimeout <= agents.heartbeatInterval else { return nil }
        return "heartbeatTimeout (\(agents.heartbeatTimeout.text)) must be longer than heartbeatInterval (\(agents.heartbeatInterval.text))"
      },
      ConfigurationRelation(keys: ["redis.username", "redis.password"]) { configuration in
        let redis = configuration.redis
        guard redis.username != nil, redis.password == nil, redis.passwordFile == nil, redis.url?.password == nil else { return nil }
        return "a user needs a password; set redis.password or PARALLAX_REDIS_PASSWORD"
      },
      ConfigurationRelation(keys: ["redis.passwordFile", "redis.password"]) { configuration in
        guard configuration.redis.passwordFile != nil, configuration.redis.password != nil else { return nil }
        return "the password is set twice; set either redis.password or redis.passwordFile"
      },
      ConfigurationRelation(keys: ["redis.usernameFile", "redis.username"]) { configuration in
        guard configuration.redis.usernameFile != nil, configuration.redis.username != nil else { return nil }
        return "the user is set twice; set either redis.username or redis.usernameFile"
      },
      ConfigurationRelation(keys: ["redis.usernameFile", "redis.passwordFile"]) { configuration in
        let redis = configuration.redis
        guard redis.usernameFile != nil, redis.passwordFile == nil, redis.password == nil, redis.url?.password == nil else { return nil }
        return "a user needs a password; set redis.passwordFile"
      },
    ] + access + redis

  private static let access: [ConfigurationRelation] = [
    ConfigurationRelation(keys: ["security.authentication.apiKeys"]) { $0.security.authentication.violation },
    ConfigurationRelation(keys: ["security.allowUnauthenticated", "security.authentication.apiKeys"]) { configuration in
      let security = configuration.security
      guard security.allowUnauthenticated, !security.authentication.apiKeys.isEmpty else { return nil }
      return "a node with API keys answers their holders only; remove security.allowUnauthenticated, or the keys"
    },
    ConfigurationRelation(
      keys: [
        jwt + "jwksFile", jwt + "publicKey", jwt + "issuer", jwt + "audience", jwt + "scopesClaim", jwt + "algorithms", jwt + "leeway",
      ]
    ) { $0.security.authentication.jwt.violation },
    ConfigurationRelation(keys: ["security.allowUnauthenticated", jwt + "jwksFile", jwt + "publicKey"]) { configuration in
      let security = configuration.security
      guard security.allowUnauthenticated, security.authentication.jwt.isEnabled else { return nil }
      return "a node that accepts tokens answers their holders only; remove security.allowUnauthenticated"
    },
    ConfigurationRelation(keys: ["security.allowUnauthenticated", "security.mtls.identities"]) { configuration in
      let security = configuration.security
      guard security.allowUnauthenticated, security.mtls.enabled, !security.mtls.identities.isEmpty else { return nil }
      return "a node whose clients' certificates have scopes answers their holders only; remove security.allowUnauthenticated"
    },
    ConfigurationRelation(keys: ["server.tls.certificate", "server.tls.privateKey"]) { configuration in
      guard (configuration.server.tls.certificate == nil) != (configuration.server.tls.privateKey == nil) else { return nil }
      return "a certificate and its key go together; set both server.tls.certificate and server.tls.privateKey, or none"
    },
    ConfigurationRelation(keys: ["security.mtls.serverCert", "security.mtls.serverKey", "server.tls.certificate"]) { configuration in
      let (mtls, tls) = (configuration.security.mtls, configuration.server.tls)
      if (mtls.serverCert == nil) != (mtls.serverKey == nil) {
        return "a certificate and its key go together; set both security.mtls.serverCert and security.mtls.serverKey, or none"
      }
      guard mtls.serverCert != nil, tls.certificate != nil else { return nil }
      return "the server's certificate is set twice; set either security.mtls.serverCert or server.tls.certificate"
    },
    ConfigurationRelation(keys: ["security.mtls.enabled", "security.mtls.clientCA", "security.mtls.identities"]) { configuration in
      let security = configuration.security
      guard security.mtls.enabled else { return nil }
      if security.mtls.clientCA == nil { return "clients' certificates need an authority; set security.mtls.clientCA" }
      if security.mtls.serverCert == nil, configuration.server.tls.certificate == nil {
        return "clients show certificates only to a server with one; set security.mtls.serverCert and security.mtls.serverKey"
      }
      let authentication = security.authentication
      guard security.mtls.identities.isEmpty, authentication.apiKeys.isEmpty, !authentication.jwt.isEnabled else { return nil }
      return "no certificate has scopes; set security.mtls.identities, or security.authentication.apiKeys for keys beside certificates"
    },
    ConfigurationRelation(keys: ["security.mtls.identities"]) { configuration in
      let identities = configuration.security.mtls.identities
      if let identity = identities.first(where: { !ClientIdentity.isName($0.name) }) {
        return "the name \(FoundText.quoted(identity.name)) is not \(ClientIdentity.nameForm)"
      }
      return identities.first(where: \.scopes.isEmpty).map { "the certificate \($0.name) has no scope" }
    },
  ]

  private static let redis: [ConfigurationRelation] = [
    ConfigurationRelation(keys: ["redis.sentinel.nodes", "redis.cluster.nodes"]) { configuration in
      guard configuration.redis.sentinel.nodes != nil, configuration.redis.cluster.nodes != nil else { return nil }
      return "Redis is either watched by sentinels or a cluster; set either redis.sentinel.nodes or redis.cluster.nodes"
    },
    ConfigurationRelation(keys: ["redis.sentinel.nodes", "redis.sentinel.masterName"]) { configuration in
      let sentinel = configuration.redis.sentinel
      switch (sentinel.nodes, sentinel.masterName) {
      case (nil, _?): return "a master's name needs sentinels that resolve it; set redis.sentinel.nodes"
      case (_?, nil): return "sentinels need the name of the master; set redis.sentinel.masterName, often mymaster"
      default: return nil
      }
    },
    ConfigurationRelation(keys: ["redis.sentinel.username", "redis.sentinel.password"]) { configuration in
      guard configuration.redis.sentinel.username != nil, configuration.redis.sentinel.password == nil else { return nil }
      return "a sentinel user needs a password; set redis.sentinel.password"
    },
    ConfigurationRelation(keys: ["redis.tls.certificate", "redis.tls.privateKey"]) { configuration in
      let tls = configuration.redis.tls
      guard (tls.certificate == nil) != (tls.privateKey == nil) else { return nil }
      return "a certificate and its key go together; set both redis.tls.certificate and redis.tls.privateKey, or none"
    },
    ConfigurationRelation(keys: ["redis.tls.ca", "redis.tls.certificate", "redis.url"]) { configuration in
      let tls = configuration.redis.tls
      guard tls.ca != nil || tls.certificate != nil, configuration.redis.url?.isTLS == false else { return nil }
      return "redis.tls has no effect because redis.url does not use TLS; begin redis.url with rediss://"
    },
  ]

  /// Checks the relations of a configuration that a program made; the relations of Redis are left out, because the backend has the stores.
  ///
  /// - Parameter configuration: The configuration.
  /// - Throws: All violations at once.
  static func check(_ configuration: NodeConfiguration) throws(ConfigurationError) {
    let faults = all.filter { relation in !relation.keys.contains { $0.hasPrefix("redis.") } }.compactMap { relation in
      relation.violation(configuration).map { ConfigurationFault(.system("configuration"), key: relation.keys[0], .brokenRule($0)) }
    }
    if !faults.isEmpty { throw ConfigurationError(faults) }
  }

  static let leaseDuration = "highAvailability.leaderElection.leaseDuration"
  static let renewDeadline = "highAvailability.leaderElection.renewDeadline"
  static let retryPeriod = "highAvailability.leaderElection.retryPeriod"
  static let bootstrapWait = "highAvailability.leaderElection.bootstrapWait"
  private static let checks = "highAvailability.memberHealth."
  private static let jwt = "security.authentication.jwt."
}

/// The relations of ``ElectionTimings``, described with the names of the keys.
extension NodeConfiguration.LeaderElection {
  /// The timings of the election, whether or not they keep the relations.
  var timings: ElectionTimings { ElectionTimings(unchecked: leaseDuration, renewDeadline, retryPeriod) }

  /// Describes why another node could lead before this one has stopped; nil if it could not.
  fileprivate var leaseViolation: String? {
    let timings = timings
    guard !timings.isLeaseLongEnough else { return nil }
    return """
      leaseDuration (\(leaseDuration.text)) must be more than \(String(timings.leaseRatio.hundredths)) times renewDeadline + a tenth of \
      leaseDuration for stopping (\((renewDeadline + timings.stopBudget).text)), so that clocks running at different rates cannot let two \
      nodes lead
      """
  }

  /// Describes why one hung call could cost the leader its term; nil if it could not.
  fileprivate var renewalViolation: String? {
    let timings = timings
    guard !timings.isRenewDeadlineLongEnough else { return nil }
    return """
      renewDeadline (\(renewDeadline.text)) must be longer than 1.2 × retryPeriod (\(retryPeriod.text)) + one hung call \
      (\(timings.callTimeout.text)) + two round trips (\((ElectionTimings.roundTrip * 2).text)), together \(timings.renewalTime.text)
      """
  }
}

extension NodeConfiguration.JWT {
  /// Describes what is missing or too much; nil if the section is complete, or unused.
  fileprivate var violation: String? {
    if jwksFile != nil, publicKey != nil {
      return "the keys of tokens are set twice; set either security.authentication.jwt.jwksFile or security.authentication.jwt.publicKey"
    }
    guard isEnabled else {
      return self == Self()
        ? nil : "tokens need keys; set security.authentication.jwt.jwksFile or security.authentication.jwt.publicKey"
    }
    if issuer == nil { return "a token of any issuer would count; set security.authentication.jwt.issuer" }
    if audience.isEmpty { return "a token for any other service would count; set security.authentication.jwt.audience" }
    if audience.count > 16 { return "\(audience.count) audiences are more than 16" }
    return algorithms.isEmpty ? "no algorithm is accepted; set security.authentication.jwt.algorithms" : nil
  }
}

extension NodeConfiguration.LeaderElection {
  /// Derives unset durations from the lease duration: renewDeadline and retryPeriod in the proportion 15 : 10 : 2, and bootstrapWait.
  mutating func derive(isSet: (String) -> Bool) {
    if !isSet(ConfigurationRelation.renewDeadline), !isSet(ConfigurationRelation.retryPeriod) {
      renewDeadline = .milliseconds(leaseDuration.wholeMilliseconds * 10 / 15)
      retryPeriod = .milliseconds(leaseDuration.wholeMilliseconds * 2 / 15)
    }
    if !isSet(ConfigurationRelation.bootstrapWait) { bootstrapWait = leaseDuration }
  }
}

extension Double {
  /// Rounded up to two places, so that a value at the reported bound suffices.
  fileprivate var hundredths: Double { (self * 100).rounded(.up) / 100 }
}
