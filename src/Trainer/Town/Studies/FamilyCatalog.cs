using System.Text.Json.Nodes;

namespace ProxyTune.Trainer.Town;

/// <summary>Names of what is examined, and the catalog.json that serves it from the folder of exported runs.</summary>
internal static class FamilyCatalog
{
    public const string Base = "base";
    public const string Tales = "tales";

    /// <summary>One expert on the base.</summary>
    public static string Single(string behaviour, string recipe, int seed) => $"{behaviour}-{recipe}-{seed}";

    /// <summary>The experts of the mixed stream on the base.</summary>
    public static string Together(string recipe, int seed) => $"together-{recipe}-{seed}";

    /// <summary>Two opposed behaviours on the base.</summary>
    public static string Opposed(string recipe, int seed) => $"opposed-{recipe}-{seed}";

    /// <summary>An expert without the base.</summary>
    public static string Alone(string behaviour, string recipe, int seed) => $"small-{behaviour}-{recipe}-{seed}";

    public static string Direct(string behaviour) => $"base-{behaviour}";

    public static string DirectLora(string behaviour) => $"base-{behaviour}-lora";

    public static void Write(string folder)
    {
        JsonArray entries = new()
        {
            new JsonObject { ["name"] = Base, ["base"] = Base },
            new JsonObject
            {
                ["name"] = Tales, ["base"] = Base, ["method"] = "context_aware", ["methods"] = new JsonArray("none"),
                ["prompts"] = new JsonObject { ["base"] = new JsonObject { ["template"] = "plain" } },
            },
        };
        foreach (int seed in Enumerable.Range(1, FamilyPlan.Seeds))
        {
            foreach (string behaviour in FamilyPlan.Behaviours)
            {
                foreach (string recipe in FamilyPlan.ExpertRecipes(behaviour))
                {
                    entries.Add(Entry(Single(behaviour, recipe, seed), recipe, seed, behaviour));
                }
            }

            foreach (string recipe in FamilyPlan.PairRecipes)
            {
                entries.Add(Entry(Together(recipe, seed), recipe, seed, FamilyPlan.Together));
                entries.Add(Entry(Opposed(recipe, seed), recipe, seed, FamilyPlan.Opposed));
            }
        }

        File.WriteAllText(Path.Combine(folder, "catalog.json"), new JsonObject { ["served_models"] = entries }.ToJsonString(Quality.Json) + "\n");
    }

    private static JsonObject Entry(string name, string recipe, int seed, params string[] behaviours)
    {
        bool isReward = recipe == FamilyPlan.RewardRecipe;
        IEnumerable<JsonNode> experts = behaviours.Select(behaviour =>
        {
            JsonObject expert = new() { ["name"] = behaviour, ["model"] = Alone(behaviour, recipe, seed) };
            if (!isReward)
            {
                expert["anti_expert"] = "small";
            }

            return (JsonNode)expert;
        });
        return new JsonObject { ["name"] = name, ["base"] = Base, ["method"] = isReward ? "portable_reward" : "proxy", ["experts"] = new JsonArray([.. experts]) };
    }
}
