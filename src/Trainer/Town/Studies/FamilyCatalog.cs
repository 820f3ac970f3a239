using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Trainer.Town;

/// <summary>The names of the examined models, and the catalog.json that serves them from the folder of exported runs.</summary>
internal static class FamilyCatalog
{
    public const string Base = "base";
    public const string LaterBase = "base-1";
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

    /// <summary>The base of generation 1 with a patch of generation 0.</summary>
    public static string Ported(string behaviour) => $"{LaterBase}-{behaviour}-lora";

    /// <summary>Writes catalog.json with the served models whose folders exist.</summary>
    /// <param name="patched">More served models: a name, a base, and a patch or null.</param>
    public static void Write(string folder, params IEnumerable<(string Name, string Base, string? Patch)> patched)
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
                    Add(Single(behaviour, recipe, seed), recipe, seed, behaviour);
                }
            }

            foreach (string recipe in FamilyPlan.PairRecipes)
            {
                Add(Together(recipe, seed), recipe, seed, FamilyPlan.Together);
                Add(Opposed(recipe, seed), recipe, seed, FamilyPlan.Opposed);
            }
        }

        foreach ((string name, string origin, string? patch) in patched)
        {
            entries.Add(new JsonObject { ["name"] = name, ["base"] = origin, ["patches"] = patch is null ? [] : new JsonArray(new JsonObject { ["patch"] = patch }) });
        }

        File.WriteAllText(Path.Combine(folder, FileNames.Catalog), new JsonObject { ["served_models"] = entries }.ToJsonString(Quality.Json) + "\n");

        void Add(string name, string recipe, int seed, params string[] behaviours)
        {
            if (behaviours.All(behaviour => Directory.Exists(Path.Combine(folder, Alone(behaviour, recipe, seed)))))
            {
                entries.Add(Entry(name, recipe, seed, behaviours));
            }
        }
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
