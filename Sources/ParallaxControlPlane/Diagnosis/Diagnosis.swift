import ParallaxAPI
import ParallaxRedisStores

/// Turns the facts of a diagnosis into its findings.
enum Diagnosis {
  /// Judges all checks.
  ///
  /// - Parameters:
  ///   - cluster: The facts of the cluster.
  ///   - redis: The facts of Redis, or why there are none.
  ///   - requiredReplicas: `redis.requireReplicas` of the configuration.
  /// - Returns: A finding per check, in the order of the checks.
  static func findings(_ cluster: ClusterFacts, _ redis: Fact<RedisFacts>, requiredReplicas: Int) -> [DiagnosisFinding] {
    let clusterVerdicts = ClusterVerdicts(facts: cluster, redis: redis.value)
    return DiagnosisCheck.ofNode.map { check in
      let verdict =
        clusterVerdicts.verdict(of: check)
        ?? redis.judged { facts in
          RedisVerdicts(facts: facts, requiredReplicas: requiredReplicas).verdict(of: check) ?? .skip("there is no such check of Redis")
        }
      return verdict.finding(of: check)
    }
  }
}
